package consul

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"
)

// vigil is a query that is parked on the key while the session is renewed. Its
// results are there when over is closed.
type vigil struct {
	end  context.CancelFunc
	over chan struct{}
	held bool
	err  error
}

// quiet reports whether the query is still parked: the key is as it was.
func (v *vigil) quiet() bool {
	if v == nil {
		return false
	}
	select {
	case <-v.over:
		return false
	default:
		return true
	}
}

// keepVigil parks a query on the key until it changes, or for as long as a watch
// waits. While it is parked the announcement's index is the query's.
func (a *announcement) keepVigil(ctx context.Context) *vigil {
	ctx, end := context.WithCancel(ctx)
	v := &vigil{end: end, over: make(chan struct{})}
	go func() {
		defer close(v.over)
		v.held, v.err = a.held(ctx, a.cfg.Wait)
	}()
	return v
}

// endVigil ends the query, if there is one, and waits for its end.
func (a *announcement) endVigil() {
	if a.vigil != nil {
		a.vigil.end()
		<-a.vigil.over
		a.vigil = nil
	}
}

// held tells whether the key is as it was announced, or as soon as it is not, up to
// the end of the wait. Somebody may have deleted it while the session lives on.
func (a *announcement) held(ctx context.Context, wait time.Duration) (bool, error) {
	opts := &api.QueryOptions{}
	if wait > 0 {
		opts.WaitIndex, opts.WaitTime = a.index, wait
		var cancel context.CancelFunc
		// With no more slack than that, another node can still renew the session.
		ctx, cancel = a.parked(ctx, wait, a.callTime())
		defer cancel()
	}
	pair, meta, err := a.api.KV().Get(a.key, opts.WithContext(ctx))
	if err != nil {
		a.index = 0
		return false, fmt.Errorf("look at key %s: %w", a.key, err)
	}
	if a.index = max(meta.LastIndex, 1); meta.LastIndex < opts.WaitIndex {
		a.index = 0 // it went backwards: do not wait for the old one
	}
	return pair != nil && pair.Session == a.session && string(pair.Value) == string(a.value), nil
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
	a.index = 0
	a.seen()
	return nil
}

// seen notes that the instance is there, and says so the first time.
func (a *announcement) seen() {
	if a.announced != nil && !a.visible {
		a.announced()
	}
	a.visible = true
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
