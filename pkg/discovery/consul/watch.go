package consul

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/hashicorp/consul/api"
	"golang.org/x/time/rate"

	"imagemill/pkg/discovery"
)

// Watch follows the service's folder by long polls until ctx is done.
func (r *Registry) Watch(ctx context.Context, service string) <-chan []discovery.Instance {
	ch := make(chan []discovery.Instance, 1)
	w := r.newWatch(r.folder(service))
	w.take = func(pairs api.KVPairs) { discovery.Offer(ch, w.instances(pairs)) }
	go func() {
		defer close(ch)
		w.run(ctx)
	}()
	return ch
}

// newLimiter keeps one loop of queries to the rate that is allowed.
func (r *Registry) newLimiter() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(r.cfg.Rate), max(1, int(r.cfg.Rate)))
}

// watch is one folder and where its polls have got to.
type watch struct {
	*Registry
	folder string
	take   func(api.KVPairs) // is given all that the folder holds when it has changed
	limit  *rate.Limiter
	log    *slog.Logger

	index uint64            // what the next poll waits to be passed; 0: do not wait
	seen  bool              // something has been delivered
	hash  [sha256.Size]byte // of what was delivered last
}

func (r *Registry) newWatch(folder string) *watch {
	return &watch{
		Registry: r, folder: folder,
		limit: r.newLimiter(),
		log:   r.log.With("watched", folder),
	}
}

func (w *watch) run(ctx context.Context) {
	retry := w.newBackoff()
	for {
		if err := w.limit.Wait(ctx); err != nil {
			<-ctx.Done() // Wait may give up ahead of a deadline, the channel closes at it
			return
		}
		err := w.poll(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			retry.reset()
			continue
		}
		// The registry may come back with another history: ask it from the start.
		w.index = 0
		wait := retry.next()
		w.log.Warn("watch failed, keeping the last set", "error", err, "retry", wait)
		pause(ctx, wait)
	}
}

// poll waits for the folder to change and delivers it if it did.
func (w *watch) poll(ctx context.Context) error {
	wait := w.cfg.Wait
	if w.index == 0 {
		wait = 0
	}
	ctx, cancel := w.parked(ctx, wait, w.cfg.CallTimeout)
	defer cancel()
	opts := &api.QueryOptions{WaitIndex: w.index, WaitTime: w.cfg.Wait}
	pairs, meta, err := w.api.KV().List(w.folder, opts.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("list %s: %w", w.folder, err)
	}
	w.advance(meta.LastIndex)
	w.deliver(pairs)
	return nil
}

// advance takes over the registry's index. One that went backwards means that the
// registry was restored or replaced; waiting for the old number could take
// forever, so the next poll does not wait. An index of 0 would not wait either,
// and make the loop a busy one.
func (w *watch) advance(index uint64) {
	if index < w.index {
		w.index = 0
		return
	}
	w.index = max(index, 1)
}

// deliver passes on what changed. The index moves for changes elsewhere too; the
// hash tells those apart.
func (w *watch) deliver(pairs api.KVPairs) {
	hash := digest(pairs)
	if w.seen && hash == w.hash {
		return
	}
	w.seen, w.hash = true, hash
	w.take(pairs)
}

// instances reads a set and leaves out what is none.
func (w *watch) instances(pairs api.KVPairs) []discovery.Instance {
	set := make([]discovery.Instance, 0, len(pairs))
	for _, pair := range pairs {
		in, err := w.decode(pair)
		if err != nil {
			w.log.Warn("malformed instance skipped", "key", pair.Key, "error", err)
			continue
		}
		set = append(set, in)
	}
	return discovery.Sort(set)
}

// decode reads an instance and refuses one that stands in a foreign place.
func (w *watch) decode(pair *api.KVPair) (discovery.Instance, error) {
	var in discovery.Instance
	if err := json.Unmarshal(pair.Value, &in); err != nil {
		return in, fmt.Errorf("decode instance: %w", err)
	}
	if err := in.Validate(); err != nil {
		return in, err
	}
	if want := w.key(in); want != pair.Key {
		return in, fmt.Errorf("instance %s belongs at %s", in.ID, want)
	}
	return in, nil
}

// digest is the same for the same keys with the same values. The indexes do not
// count: those of the keys of instances move with every new session.
func digest(pairs api.KVPairs) [sha256.Size]byte {
	h := sha256.New()
	for _, pair := range pairs {
		fmt.Fprintf(h, "%q %d ", pair.Key, len(pair.Value))
		h.Write(pair.Value)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
