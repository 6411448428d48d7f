package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/time/rate"

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
		log:   r.log.With("announced", in.ID, "service", in.Service),
		limit: r.newLimiter(),
	}
	if r.cfg.Catalog != nil {
		e, err := r.newEntry(in, a.log)
		if err != nil {
			return err
		}
		var both sync.WaitGroup
		defer both.Wait()
		both.Go(func() { e.keep(ctx) })
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

	limit *rate.Limiter

	session string // "" when there is none
	index   uint64 // of the key, when it was last looked at
	visible bool   // as far as is known

	vigil *vigil // over the key that this session holds; nil when there is none
}

// keep makes the announcement true again and again, until ctx is done. A failed
// turn is repeated soon; the session is not given up for it, since the registry
// may well still know it.
func (a *announcement) keep(ctx context.Context) {
	defer a.withdraw(context.WithoutCancel(ctx))
	defer a.endVigil()
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
		a.rest(ctx)
	}
}

// rest passes the time until the next renewal by watching the key, so that one
// that was deleted, and a registry that was started anew, are seen to at once. A
// failure just ends the rest: the next turn will meet it too.
func (a *announcement) rest(ctx context.Context) {
	end := time.NewTimer(a.cfg.TTL / 3)
	defer end.Stop()
	for {
		if a.vigil == nil {
			// Whoever writes the key over and over wakes us no more than that.
			if err := a.limit.Wait(ctx); err != nil {
				return
			}
			a.vigil = a.keepVigil(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-a.vigil.over:
			v := a.vigil
			a.endVigil()
			if !v.held || v.err != nil {
				return
			}
		}
	}
}

// turn renews the session, or makes one, and sees to it that the key is there and
// held by it.
func (a *announcement) turn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.callTime())
	defer cancel()
	if err := a.renew(ctx); err != nil {
		return err
	}
	if a.session == "" {
		if err := a.create(ctx); err != nil {
			return err
		}
	} else if a.vigil.quiet() {
		return nil // the registry would have told
	} else {
		// An acquire whose answer was lost has succeeded all the same.
		held, err := a.held(ctx, 0)
		if held {
			a.seen()
		}
		if held || err != nil {
			return err
		}
		if a.visible {
			a.log.Warn("key lost, announcing again", "key", a.key)
		}
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
		a.endVigil()
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
