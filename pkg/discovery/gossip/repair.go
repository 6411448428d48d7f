package gossip

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/serf/serf"
)

// settingsEvent is the name of the Serf event that tells of a new document.
const settingsEvent = "settings-1"

// spreadPause is between two events of one member, and between two fetches,
// however often settings change.
const spreadPause = 50 * time.Millisecond

// asked is how many members are asked in a round.
const asked = 2

// silentRounds is how many rounds without an answer are nothing to speak of:
// members may be dead for a while before all know.
const silentRounds = 5

// hint is what an event says: a version, and who has it.
type hint struct {
	version
	Holder string `json:"holder"`
}

// heard takes an event in. Of several only the newest is looked after.
func (a *agent) heard(payload []byte) {
	var h hint
	if err := json.Unmarshal(payload, &h); err != nil || h.check() != nil || len(h.Holder) > maxName {
		a.rare.warn("event", "a malformed event was ignored", "bytes", len(payload))
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if h.compare(a.newest) <= 0 {
		return
	}
	a.newest = h.version
	// consume alone comes here, so the channel has room after offer's look.
	offer(a.hint, h)
}

// told tells whether an event of this version, or a later one, has been heard.
func (a *agent) told(v version) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return v.compare(a.newest) <= 0
}

// take adopts another member's document, if it wins, and has it spread if nobody
// else has done so: its event may never have come to this side of a parted network.
func (a *agent) take(doc *document) bool {
	if !a.settings.adopt(doc) {
		return false
	}
	a.log.Info("settings taken over", "generation", doc.Generation, "origin", doc.Origin)
	a.ledger.wake()
	signal(a.fresh)
	return true
}

// spread sends an event for each new document that no event has told of. Members
// that have another's document wait for a moment, so that not all of them do.
func (a *agent) spread(ctx context.Context) {
	for {
		select {
		case <-a.fresh:
		case <-ctx.Done():
			return
		}
		if a.settings.current().Origin != a.name {
			pause(ctx, rand.N(10*a.cfg.GossipInterval))
		}
		if v := a.settings.current().version; v.Generation > 0 && !a.told(v) {
			a.send(hint{version: v, Holder: a.name})
		}
		pause(ctx, spreadPause)
	}
}

func (a *agent) send(h hint) {
	payload, err := json.Marshal(h)
	if err == nil {
		err = a.serf.UserEvent(settingsEvent, payload, true)
	}
	if err != nil {
		a.rare.warn("spread", "settings are not told of, others will ask for them", "error", err)
	}
}

// repair fetches what events tell of, and asks others every now and then, and
// soon when members have joined.
func (a *agent) repair(ctx context.Context) {
	tick := time.NewTicker(a.cfg.RepairInterval - a.cfg.RepairInterval/20 + rand.N(a.cfg.RepairInterval/10+1))
	defer tick.Stop()
	ready := time.Now() // when joins may have others asked again
	for {
		select {
		case h := <-a.hint:
			a.fetch(ctx, h)
			pause(ctx, spreadPause)
			continue
		case <-tick.C:
		case <-a.ask:
			if wait := time.Until(ready); wait > 0 {
				time.AfterFunc(wait, func() { signal(a.ask) })
				continue
			}
		case <-ctx.Done():
			return
		}
		a.round(ctx)
		ready = time.Now().Add(a.cfg.RepairInterval / 4)
	}
}

// fetch gets the document that an event told of: from its origin, who waits to be
// told that others have it, so it is asked even if the document is here already;
// else from who sent the event, or from anybody.
func (a *agent) fetch(ctx context.Context, h hint) {
	if h.Origin == a.name {
		return
	}
	others := a.others()
	for _, name := range []string{h.Origin, h.Holder} {
		i := slices.IndexFunc(others, func(m serf.Member) bool { return m.Name == name })
		if i >= 0 && a.askOne(ctx, others[i]) && h.compare(a.settings.current().version) <= 0 {
			return
		}
	}
	if h.compare(a.settings.current().version) > 0 {
		a.round(ctx)
	}
}

// round asks a few others, chosen at random, at the same time.
func (a *agent) round(ctx context.Context) {
	others := a.others()
	if len(others) == 0 {
		if a.isJoined() {
			a.settings.synchronised()
		}
		return
	}
	var calls sync.WaitGroup
	var answers atomic.Int32
	for _, m := range others[:min(asked, len(others))] {
		calls.Go(func() {
			if a.askOne(ctx, m) {
				answers.Add(1)
			}
		})
	}
	calls.Wait()
	a.silent++
	if answers.Load() > 0 {
		a.silent = 0
	}
	if a.silent > silentRounds && ctx.Err() == nil {
		a.rare.warn("ask", "other members do not tell their settings", "members", len(others))
	}
}

// askOne gets a member's document if it wins; false if the member did not answer.
// Having taken it over it asks once more, which tells the member so: a writer waits
// for that.
func (a *agent) askOne(ctx context.Context, m serf.Member) bool {
	doc, err := a.pull(ctx, m)
	if err == nil && doc != nil && a.take(doc) {
		doc, err = a.pull(ctx, m)
	}
	if err != nil {
		a.log.Debug("a member did not tell its settings", "member", m.Name, "error", err)
		return false
	}
	if doc != nil {
		a.take(doc)
	}
	a.settings.synchronised()
	return true
}
