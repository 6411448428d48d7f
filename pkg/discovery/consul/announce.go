package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/consul/api"

	"imagemill/pkg/discovery"
)

// lockDelay is how long a key stays locked after its session died. It guards
// leaders against ghosts; an instance has no rival, and wants its key back.
const lockDelay = time.Millisecond

// Announce keeps the instance in the registry until ctx is done, then takes it out
// at once. An ID that somebody else holds is tried again until it is free.
func (r *Registry) Announce(ctx context.Context, in discovery.Instance, announced func()) error {
	if err := in.Validate(); err != nil {
		return err
	}
	value, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("announce %s: %w", in.ID, err)
	}
	a := &announcement{
		Registry: r, key: r.key(in), value: value, announced: announced,
		log: r.log.With("announced", in.ID, "service", in.Service),
	}
	a.keep(ctx)
	return nil
}

// announcement is one instance on its way through sessions.
type announcement struct {
	*Registry
	key       string
	value     []byte
	announced func()
	log       *slog.Logger

	session string // "" when there is none
	visible bool   // as far as is known
}

// keep makes the announcement true again and again, until ctx is done. A failed
// turn is repeated soon; the session is not given up for it, since the registry
// may well still know it.
func (a *announcement) keep(ctx context.Context) {
	defer a.withdraw(context.WithoutCancel(ctx))
	retry := a.newBackoff()
	for ctx.Err() == nil {
		if err := a.turn(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			wait := retry.next()
			a.log.Warn("announcement failed", "error", err, "retry", wait)
			pause(ctx, wait)
			continue
		}
		retry.reset()
		pause(ctx, a.cfg.TTL/3)
	}
}

// turn renews the session, or makes one, and sees to it that the key is there and
// held by it.
func (a *announcement) turn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.CallTimeout)
	defer cancel()
	if err := a.renew(ctx); err != nil {
		return err
	}
	if a.session == "" {
		if err := a.create(ctx); err != nil {
			return err
		}
	} else if held, err := a.held(ctx); held || err != nil {
		return err
	}
	return a.acquire(ctx)
}

// renew prolongs the session, if there is one, and forgets it if the registry has.
func (a *announcement) renew(ctx context.Context) error {
	if a.session == "" {
		return nil
	}
	entry, _, err := a.api.Session().Renew(a.session, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("renew session %s: %w", a.session, err)
	}
	if entry == nil {
		a.log.Warn("session lost, announcing again", "session", a.session)
		a.session = ""
	}
	return nil
}

// create makes the session without health checks: the TTL alone decides.
func (a *announcement) create(ctx context.Context) error {
	id, _, err := a.api.Session().CreateNoChecks(&api.SessionEntry{
		Name:      a.key,
		TTL:       a.cfg.TTL.String(),
		Behavior:  api.SessionBehaviorDelete,
		LockDelay: lockDelay,
	}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("create session: %w", err)
	}
	a.session = id
	return nil
}

// held tells whether the key is as it was announced. Somebody may have deleted it
// while the session lives on.
func (a *announcement) held(ctx context.Context) (bool, error) {
	pair, _, err := a.api.KV().Get(a.key, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return false, fmt.Errorf("look at key %s: %w", a.key, err)
	}
	held := pair != nil && pair.Session == a.session && string(pair.Value) == string(a.value)
	if !held && a.visible {
		a.log.Warn("key lost, announcing again", "key", a.key)
	}
	return held, nil
}

func (a *announcement) acquire(ctx context.Context) error {
	pair := &api.KVPair{Key: a.key, Value: a.value, Session: a.session}
	got, _, err := a.api.KV().Acquire(pair, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("acquire key %s: %w", a.key, err)
	}
	if !got {
		return fmt.Errorf("acquire key %s: another session holds it", a.key)
	}
	a.log.Info("announced", "session", a.session)
	if a.announced != nil && !a.visible {
		a.announced()
	}
	a.visible = true
	return nil
}

// withdraw deletes the key, then ends the session. The session goes last: should a
// cut-off acquire arrive late, its key dies with the session. One repeat, since
// the first call may meet a connection that broke unseen; the TTL does the rest.
func (a *announcement) withdraw(ctx context.Context) {
	if a.session == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, a.cfg.StopTimeout)
	defer cancel()
	var err error
	for range 2 {
		if err = a.release(ctx); err == nil {
			a.log.Info("withdrawn")
			return
		}
	}
	a.log.Warn("withdrawal failed, the instance stays visible until its TTL", "error", err)
}

// release deletes the key only where it is this session's: the ID may be another's
// whose announcement has not succeeded.
func (a *announcement) release(ctx context.Context) error {
	opts := (&api.WriteOptions{}).WithContext(ctx)
	var errs []error
	if a.visible {
		if _, err := a.api.KV().Delete(a.key, opts); err != nil {
			errs = append(errs, fmt.Errorf("delete key %s: %w", a.key, err))
		}
	}
	if _, err := a.api.Session().Destroy(a.session, opts); err != nil {
		errs = append(errs, fmt.Errorf("destroy session %s: %w", a.session, err))
	}
	return errors.Join(errs...)
}
