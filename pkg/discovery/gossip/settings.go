package gossip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"imagemill/pkg/discovery"
)

// WatchSettings delivers the document and its changes. The first comes when
// another member was asked, when it turned out that there is none, or at once if
// the folder has one.
func (r *Registry) WatchSettings(ctx context.Context) <-chan discovery.Document {
	return r.settings.watch(ctx)
}

// PutSetting stores a value. It returns when all other members have it, so that a
// change that follows anywhere is made on top of it, or soon after if some do not
// answer. When it returns nil the document is in this member's folder, or another
// member has fetched it, or there is none of either and nobody to be joined. A change that
// is made out of this one's reach may win over it later, as the package says.
func (r *Registry) PutSetting(ctx context.Context, name, value, writer string) error {
	if err := discovery.CheckSetting(name, value); err != nil {
		return err
	}
	writer = strings.ToValidUTF8(writer[:min(len(writer), maxWriter)], "")
	var wrote discovery.Entry
	err := r.write(ctx, func(settings discovery.Document, generation uint64) bool {
		if wrote.Version > 0 && settings[name].Version > wrote.Version {
			return false // somebody has changed it since
		}
		wrote = discovery.Entry{Value: value, Version: generation, Writer: writer}
		settings[name] = wrote
		return true
	})
	if err != nil {
		return fmt.Errorf("put setting %s: %w", name, err)
	}
	return nil
}

// DeleteSetting removes a name, under the conditions of PutSetting.
func (r *Registry) DeleteSetting(ctx context.Context, name, _ string) error {
	if err := discovery.CheckSettingName(name); err != nil {
		return err
	}
	var deleted uint64
	err := r.write(ctx, func(settings discovery.Document, generation uint64) bool {
		now, there := settings[name]
		if !there && deleted == 0 || deleted > 0 && now.Version > deleted {
			return false // it is not there, or again
		}
		deleted = generation
		delete(settings, name)
		return true
	})
	if err != nil {
		return fmt.Errorf("delete setting %s: %w", name, err)
	}
	return nil
}

// maxWriter bounds the writer's name in bytes.
const maxWriter = 128

// writeTries bounds how often a change is made anew on top of one that won.
const writeTries = 50

var (
	errAlone  = errors.New("no other member can be reached, and this one keeps nothing on disk")
	errBeaten = errors.New("another member has later settings, which do not come here")
	errBusy   = errors.New("other changes win all the time")
)

// write makes a change on top of the newest document and waits until others have
// it. If another document has won meanwhile, it is made anew on top of that, also
// where that has the change already: it may lose to one that has not. Before the first it waits until others were asked, since a member
// that has just started knows nothing.
func (r *Registry) write(ctx context.Context, do func(discovery.Document, uint64) bool) error {
	a, err := r.running(ctx)
	if err = errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	select {
	case <-r.settings.synced:
	case <-ctx.Done():
		return errors.Join(errors.New("no other member has told its settings yet"), ctx.Err())
	}
	for try := range writeTries {
		doc, err := r.settings.change(a.name, do)
		if doc == nil || err != nil {
			return err
		}
		if done, err := a.settle(ctx, doc); done || err != nil {
			return err
		}
		// Of those who try at the same time only one wins.
		pause(ctx, rand.N(time.Duration(min(try, 10)+1)*a.cfg.GossipInterval))
	}
	return errBusy
}

// settle tells the others of a document of this member and waits until they have
// it; false means that it is not this member's document any more.
func (a *agent) settle(caller context.Context, doc *document) (done bool, err error) {
	signal(a.fresh)
	ctx, cancel := context.WithTimeout(caller, a.cfg.CallTimeout)
	defer cancel()
	defer context.AfterFunc(a.ended, cancel)()
	others := a.others()
	names := make([]string, len(others))
	for i, m := range others {
		names[i] = m.Name
	}
	replaced := func() bool { return a.settings.current() != doc }
	have, beaten := a.ledger.await(ctx, doc.version, names, replaced)
	switch {
	case replaced():
		return false, nil
	case beaten:
		return false, errors.Join(errBeaten, caller.Err())
	case have > 0, a.cfg.Dir != "":
		return true, nil
	case len(others) == 0 && len(a.absent(a.ended, a.there(), a.sought(false))) == 0:
		return true, nil
	}
	return false, errors.Join(errAlone, caller.Err())
}
