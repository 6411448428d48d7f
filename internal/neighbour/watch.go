package neighbour

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"imagemill/pkg/discovery"
)

const (
	// repeatEvery is how often at most a neighbour's clock is logged.
	repeatEvery = time.Minute
	// lookEvery is how often at most a neighbour's answers are looked at.
	lookEvery = time.Second
)

// Deps is what a Watch works with.
type Deps struct {
	Log *slog.Logger
	// Version is this process's own.
	Version string
	// Metrics gets imagemill_clock_skew_seconds; nil for none.
	Metrics prometheus.Registerer
	// Now is the clock; nil for time.Now.
	Now func() time.Time
}

// Watch is a discovery.Observer that looks at versions and clocks. Make it with
// [New]; safe for concurrent use.
type Watch struct {
	deps  Deps
	skew  *prometheus.GaugeVec
	fresh chan discovery.Instance // to be asked for the first time

	mu    sync.Mutex
	peers map[string]*peer // by instance ID
}

// peer is one instance and what is known of it.
type peer struct {
	in      discovery.Instance
	known   bool // clock was seen
	clock   span
	looked  time.Time
	logged  time.Time
	version string // what is wrong with it, for people
}

var _ discovery.Observer = (*Watch)(nil)

// New makes a Watch. It starts nothing.
func New(deps Deps) *Watch {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	w := &Watch{
		deps: deps, peers: map[string]*peer{}, fresh: make(chan discovery.Instance, 64),
		skew: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "imagemill_clock_skew_seconds",
			Help: "By how much the clock of a neighbour is ahead of this machine's, of its instances the one that is farthest off; a second is within what can be told.",
		}, []string{"neighbour"}),
	}
	if deps.Metrics != nil {
		deps.Metrics.MustRegister(w.skew)
	}
	return w
}

// Joined compares the versions, and has the instance asked for its clock.
func (w *Watch) Joined(in discovery.Instance) {
	p := &peer{in: in}
	if !Compatible(w.deps.Version, in.Version) {
		p.version = fmt.Sprintf("%s %s is of version %s, this is %s: the two may not understand each other; "+
			"bring all services to one version", in.Service, in.ID, in.Version, w.deps.Version)
		w.deps.Log.Warn("a neighbour's version does not fit: "+p.version, "neighbour", in.Service, "peer", in.ID,
			"theirs", in.Version, "ours", w.deps.Version)
	} else if in.Version != w.deps.Version {
		w.deps.Log.Debug("a neighbour is of another version, which fits", "neighbour", in.Service, "peer", in.ID,
			"theirs", in.Version, "ours", w.deps.Version)
	}
	w.mu.Lock()
	w.peers[in.ID] = p
	w.mu.Unlock()
	select {
	case w.fresh <- in:
	default: // Run asks the quiet ones later
	}
}

// Left forgets the instance.
func (w *Watch) Left(in discovery.Instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.peers[in.ID]; p == nil || p.in.URL != in.URL {
		return // it has joined again, at another address
	}
	delete(w.peers, in.ID)
	w.measure(in.Service)
}

// Answered looks at the answer's date, once in a while.
func (w *Watch) Answered(in discovery.Instance, header http.Header, took time.Duration) {
	now := w.deps.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.peers[in.ID]
	if p == nil || p.known && now.Sub(p.looked).Abs() < lookEvery {
		return
	}
	clock, ok := spanOf(header, now, took)
	if !ok {
		return
	}
	if p.known && clock.wide() && clock.overlaps(p.clock) && now.Sub(p.looked).Abs() < 2*askEvery {
		return // a long poll's answer says nothing against what a quick one told
	}
	p.clock, p.looked, p.known = clock, now, true
	w.measure(in.Service)
	if !clock.off() || !p.logged.IsZero() && now.Sub(p.logged).Abs() < repeatEvery {
		return
	}
	p.logged = now
	w.deps.Log.Warn("the clocks of two machines differ: "+w.clockNotice(p), "neighbour", in.Service, "peer", in.ID, "url", in.URL,
		"seconds", clock.likely().Seconds())
}
