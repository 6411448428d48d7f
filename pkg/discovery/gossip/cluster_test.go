package gossip_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/gossip"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// patience is how long a test waits for what must happen.
const patience = 2 * time.Minute

// callTime is for exchanges with members that answer, however late.
const callTime = 15 * time.Second

// network is where the members of a test live: it can be parted.
type network struct {
	mu   sync.Mutex
	side map[string]int // by address; those on other sides are out of reach
}

func (n *network) reach(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.side[from] == n.side[to]
}

// move puts members on a side.
func (n *network) move(side int, members ...*node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range members {
		n.side[m.address] = side
	}
}

// heal puts all on one side.
func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.side)
}

func newNetwork() *network { return &network{side: map[string]int{}} }

// node is a member that runs.
type node struct {
	*gossip.Registry
	address string
	stop    func() // leaves and waits for the end
}

// options of a test's members.
type options struct {
	net *network
	log *slog.Logger
	cfg gossip.Config
}

// config has times for tests. Probes are not so quick, and calls not so impatient,
// that a machine with other things to do looks dead.
func config(join ...string) gossip.Config {
	return gossip.Config{
		Join: join, TTL: 4 * time.Second, GossipInterval: 10 * time.Millisecond, RejoinInterval: 500 * time.Millisecond,
		RepairInterval: 200 * time.Millisecond, CallTimeout: callTime, StopTimeout: 2 * time.Second,
	}
}

// start runs a member until the test ends, or it is stopped.
func start(t testing.TB, o options) *node {
	t.Helper()
	n := begin(t, o)
	n.await(t)
	return n
}

// begin is start without waiting for the member to run.
func begin(t testing.TB, o options) *node {
	t.Helper()
	reg, err := gossip.New(o.cfg, gossip.Deps{Log: o.log})
	require.NoError(t, err)
	if o.net != nil {
		reg.PartBy(o.net.reach)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		assert.NoError(t, reg.Run(ctx))
	}()
	n := &node{Registry: reg, stop: func() {
		cancel()
		<-ended
	}}
	t.Cleanup(n.stop)
	return n
}

// await waits until the member runs.
func (n *node) await(t testing.TB) {
	t.Helper()
	eventually(t, patience, func() bool { return n.Address() != "" }, "the member runs")
	n.address = n.Address()
}

// cluster runs members that join the first one, all at once.
func cluster(t testing.TB, size int, o options) []*node {
	t.Helper()
	nodes := []*node{start(t, o)}
	o.cfg.Join = append(o.cfg.Join, nodes[0].address)
	for len(nodes) < size {
		nodes = append(nodes, begin(t, o))
	}
	for _, n := range nodes {
		n.await(t)
	}
	// Those who stop together must not wait for each other.
	t.Cleanup(func() {
		var all sync.WaitGroup
		for _, n := range nodes {
			all.Go(n.stop)
		}
		all.Wait()
	})
	return nodes
}

// eventually waits for a condition, and gives the time it took.
func eventually(t testing.TB, within time.Duration, met func() bool, what string) time.Duration {
	t.Helper()
	begun := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			require.FailNow(t, "the test has ended", "before: %s", what)
		}
		if time.Since(begun) > within {
			require.FailNow(t, "gave up waiting", "after %s: %s", within, what)
		}
	}
	return time.Since(begun)
}

// everybody tells whether a condition holds for all.
func everybody(nodes []*node, met func(*node) bool) func() bool {
	return func() bool {
		for _, n := range nodes {
			if !met(n) {
				return false
			}
		}
		return true
	}
}

// seeing counts members.
func seeing(members int) func(*node) bool {
	return func(n *node) bool { return n.Members() == members }
}

func instance(service string, n int) discovery.Instance {
	return discovery.Instance{
		ID: fmt.Sprintf("%s-%03d", service, n), Service: service, URL: fmt.Sprintf("http://127.0.0.1:%d", 10000+n),
		Version: "v1", Started: time.Unix(1700000000, int64(n)).UTC(),
	}
}

// announce keeps an instance announced until end is called, or the test ends.
func announce(t testing.TB, n *node, in discovery.Instance) (end func()) {
	t.Helper()
	announced, end := beginAnnounce(t, n, in)
	select {
	case <-announced:
	case <-time.After(patience):
		require.FailNow(t, "not announced", in.ID)
	}
	return end
}

// beginAnnounce is announce without waiting for it.
func beginAnnounce(t testing.TB, n *node, in discovery.Instance) (announced <-chan struct{}, end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	visible, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		assert.NoError(t, n.Announce(ctx, in, func() { close(visible) }))
	}()
	end = func() {
		cancel()
		<-ended
	}
	t.Cleanup(end)
	return visible, end
}

// view is what a watch has delivered last.
type view struct {
	mu  sync.Mutex
	set []discovery.Instance
	got bool
}

func watch(t testing.TB, n *node, service string) *view {
	ctx, cancel := context.WithCancel(context.Background())
	v, ended := &view{}, make(chan struct{})
	go func() {
		defer close(ended)
		for set := range n.Watch(ctx, service) {
			v.mu.Lock()
			v.set, v.got = set, true
			v.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return v
}

// len is how many instances are seen, -1 before the first set.
func (v *view) len() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.got {
		return -1
	}
	return len(v.set)
}

// settings is what a watch of the settings has delivered last.
type settings struct {
	mu  sync.Mutex
	doc discovery.Document
}

func watchSettings(t testing.TB, n *node) *settings {
	ctx, cancel := context.WithCancel(context.Background())
	v, ended := &settings{}, make(chan struct{})
	go func() {
		defer close(ended)
		for doc := range n.WatchSettings(ctx) {
			v.mu.Lock()
			v.doc = doc
			v.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return v
}

// value is a setting as seen last; "" if it is not there.
func (v *settings) value(name string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.doc[name].Value
}

// await waits for a setting to be there.
func (v *settings) await(t testing.TB, name string) string {
	t.Helper()
	eventually(t, patience, func() bool { return v.value(name) != "" }, "setting "+name)
	return v.value(name)
}
