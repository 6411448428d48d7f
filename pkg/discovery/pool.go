package discovery

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// pool is the instances of one service. Requests read the current view without a
// lock; only the service's watch replaces it.
type pool struct {
	service string
	cfg     TransportConfig
	dial    func(Instance) http.RoundTripper
	log     *slog.Logger
	started time.Time
	view    atomic.Pointer[view]

	observer Observer

	resting atomic.Bool   // listen looks when it is stirred, or late
	stirred chan struct{} // holds at most one

	mu   sync.Mutex
	gone []*member // that requests may still wait for
}

// view is one set as requests see it. It never changes; changed is closed when
// another has taken its place.
type view struct {
	instances []Instance
	members   []*member
	changed   chan struct{}
}

func newPool(service string, cfg TransportConfig, dial func(Instance) http.RoundTripper, log *slog.Logger) *pool {
	p := &pool{service: service, cfg: cfg, dial: dial, log: log, started: time.Now(), observer: nobody{}, stirred: make(chan struct{}, 1)}
	p.view.Store(&view{changed: make(chan struct{})})
	return p
}

// now counts from the pool's start, on the monotonic clock.
func (p *pool) now() time.Duration { return time.Since(p.started) }

// update takes over a set. An instance that stays under the same URL keeps its
// connections and its record; one that is gone loses its idle connections, and
// the requests that are still with it notice nothing.
func (p *pool) update(set []Instance) {
	old := p.view.Load()
	next := &view{changed: make(chan struct{})}
	for _, in := range set {
		m := old.find(in)
		if m == nil {
			base, err := in.base()
			if err != nil {
				p.log.Warn("instance ignored", "service", p.service, "error", err)
				continue
			}
			m = &member{in: in, id: in.ID, url: in.URL, base: base, rt: p.dial(in), pool: p}
			p.log.Info("instance seen", "service", p.service, "peer", in.ID, "url", in.URL)
			p.observer.Joined(in)
		}
		next.instances = append(next.instances, in)
		next.members = append(next.members, m)
	}
	p.view.Store(next)
	close(old.changed)
	for _, m := range old.members {
		if !slices.Contains(next.members, m) {
			p.log.Info("instance gone", "service", p.service, "peer", m.id, "url", m.url)
			p.observer.Left(m.in)
			closeIdle(m.rt)
			p.mu.Lock()
			m.left = p.now()
			p.gone = append(p.gone, m)
			p.mu.Unlock()
		}
	}
}

func (v *view) find(in Instance) *member {
	for _, m := range v.members {
		if m.id == in.ID && m.url == in.URL {
			return m
		}
	}
	return nil
}

// pick chooses among the members that have not been tried: the one with the least
// outstanding requests, any of them if there are several; or, if all are set
// aside, the one whose time ends first, and one that hangs only if all do. It is
// nil if all have been tried.
func (v *view) pick(tried []*member, now time.Duration) *member {
	var best, resting *member
	var least int64
	var ties int
	for _, m := range v.members {
		if slices.Contains(tried, m) {
			continue
		}
		if m.aside(now) {
			if resting == nil || m.before(resting) {
				resting = m
			}
			continue
		}
		load := m.outstanding.Load()
		switch {
		case best == nil || load < least:
			best, least, ties = m, load, 1
		case load == least:
			// Each of n ties is kept with the chance 1/n: all are equally likely.
			if ties++; rand.IntN(ties) == 0 {
				best = m
			}
		}
	}
	if best == nil {
		return resting
	}
	best.probe(now)
	return best
}

// heeded is the members whose silence matters: those of the set, and those that
// are gone while requests still wait for them.
func (p *pool) heeded() []*member {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.gone[:0]
	for _, m := range p.gone {
		// A request may have chosen it just before, and not be waiting yet.
		if m.hasWaiting() || p.now()-m.left < p.cfg.Silence {
			kept = append(kept, m)
		}
	}
	clear(p.gone[len(kept):])
	p.gone = kept
	return append(append([]*member{}, p.view.Load().members...), kept...)
}

func (m *member) hasWaiting() bool {
	m.silence.mu.Lock()
	defer m.silence.mu.Unlock()
	return len(m.silence.waiting) > 0
}

// hasOther tells whether a member beside m is in good standing.
func (p *pool) hasOther(m *member) bool {
	now := p.now()
	for _, other := range p.view.Load().members {
		if other != m && !other.aside(now) {
			return true
		}
	}
	return false
}
