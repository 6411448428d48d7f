package gossip

import (
	"context"
	"crypto/tls"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"
)

// agent is the member while it runs under one name.
type agent struct {
	*Registry
	name   string
	join   []string
	wire   *wire
	tls    *tls.Config // nil without a key
	serf   *serf.Serf
	events chan serf.Event

	ended context.Context // done when the member has stopped
	end   context.CancelFunc

	dirty chan struct{} // holds a token when members may have changed
	ask   chan struct{} // holds a token when others should be asked for settings
	met   chan struct{} // holds a token when another member has come
	fresh chan struct{} // holds a token when others may have to be told of settings
	hint  chan hint     // holds the newest version that was heard of
	http  *http.Client  // for exchanges with other members

	ledger *ledger

	back   int       // looks at where others were at the last run, while some were known; rejoin's own
	missed time.Time // since when nobody answers at the join addresses; rejoin's own
	silent int       // rounds in a row in which nobody answered; repair's own
	known  []string  // addresses of other members, for those who come after

	mu     sync.Mutex
	joined bool     // the first look at the join addresses is over
	newest version  // of the settings that events told of
	peers  []string // where others are, or were when they were last seen
}

func newAgent(r *Registry, name string, join []string, w *wire, tlsConfig *tls.Config) *agent {
	ended, end := context.WithCancel(context.Background())
	a := &agent{
		Registry: r, name: name, join: join, wire: w, tls: tlsConfig,
		events: make(chan serf.Event, maxEvents), ended: ended, end: end,
		dirty: make(chan struct{}, 1), ask: make(chan struct{}, 1), met: make(chan struct{}, 1), fresh: make(chan struct{}, 1), hint: make(chan hint, 1),
		ledger: newLedger(),
	}
	a.http = a.client()
	return a
}

// run works until ctx is done, then leaves; or until Serf has given up, since
// another member has the name, which is what true means.
func (a *agent) run(ctx context.Context) (lost bool) {
	var work sync.WaitGroup
	for _, job := range []func(context.Context){
		a.consume, a.refresh, a.tell, a.rejoin, a.remember, a.serve, a.spread, a.repair,
	} {
		work.Go(func() { job(a.ended) })
	}
	signal(a.dirty)
	signal(a.fresh) // what was kept on disk may be news to others
	select {
	case <-ctx.Done():
		a.keepPeers()
		if err := a.serf.Leave(); err != nil {
			a.log.Warn("leave failed, the others will find out by themselves", "error", err)
		}
	case <-a.serf.ShutdownCh():
		lost = true
	}
	a.known = addresses(a.others())
	if err := a.serf.Shutdown(); err != nil {
		a.log.Warn("gossip did not stop in order", "error", err)
	}
	a.end()
	work.Wait()
	return lost
}

// consume takes Serf's events and never waits: Serf holds its locks meanwhile.
func (a *agent) consume(ctx context.Context) {
	for {
		select {
		case e := <-a.events:
			a.handle(e)
		case <-ctx.Done():
			return
		}
	}
}

func (a *agent) handle(e serf.Event) {
	switch e := e.(type) {
	case serf.MemberEvent:
		signal(a.dirty)
		for _, m := range e.Members {
			if m.Name != a.name {
				a.member(e.Type, m)
			}
		}
	case serf.UserEvent:
		if e.Name == settingsEvent {
			a.heard(e.Payload)
		}
	}
}

// member notes what became of another one.
func (a *agent) member(what serf.EventType, m serf.Member) {
	addr := address(m)
	switch what {
	case serf.EventMemberJoin:
		signal(a.ask)
		signal(a.met)
		a.log.Info("member joined", "member", m.Name, "address", addr)
	case serf.EventMemberLeave:
		a.log.Info("member left", "member", m.Name, "address", addr)
	case serf.EventMemberFailed:
		a.log.Warn("member lost", "member", m.Name, "address", addr)
	default: // of tags, which refresh reads, and of those long gone
	}
}

// tell gives Serf the tags whenever what is announced has changed. It looks now and
// then whether they are as they should be: if Serf refutes a suspicion at the very
// moment of a change, the refutation has the higher number and the old tags.
func (a *agent) tell(ctx context.Context) {
	tick := time.NewTicker(a.cfg.RejoinInterval)
	defer tick.Stop()
	for {
		select {
		case <-a.book.changed:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		tags, turn := a.book.current()
		for try := 0; try < 5 && !maps.Equal(a.serf.LocalMember().Tags, tags); try++ {
			if err := a.serf.SetTags(tags); err != nil {
				// The tags are set nevertheless; gossip goes on for as long as it takes.
				a.log.Debug("instances are slow to be passed on", "error", err)
			}
		}
		a.book.inForce(turn)
	}
}

// isJoined tells whether the first look at the join addresses is over.
func (a *agent) isJoined() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.joined
}

// others are the live members but this one, in random order.
func (a *agent) others() []serf.Member {
	var out []serf.Member
	for _, m := range alive(a.serf.Members()) {
		if m.Name != a.name {
			out = append(out, m)
		}
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// alive leaves out who has left, is leaving or has failed.
func alive(members []serf.Member) []serf.Member {
	out := members[:0]
	for _, m := range members {
		if m.Status == serf.StatusAlive {
			out = append(out, m)
		}
	}
	return out
}

// address is where a member is reached.
func address(m serf.Member) string {
	return net.JoinHostPort(m.Addr.String(), strconv.Itoa(int(m.Port)))
}

func addresses(members []serf.Member) []string {
	out := make([]string, len(members))
	for i, m := range members {
		out[i] = address(m)
	}
	return out
}

// pause waits for the time or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
