package kvstore

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// fleet is several nodes of one cluster in this process, behind one wall.
type fleet struct {
	t     testing.TB
	host  string
	dir   string
	wall  *wall
	size  int
	tune  func(i int, c *Config)
	log   *slog.Logger
	now   func() time.Time // nil for the real time
	ports [][3]int
	given map[int]bool // ports that some node has or had
	nodes []*running   // nil where a node is stopped
}

// loopbackHost gives an address of this machine that no other test has, where
// the system has more than one.
func loopbackHost() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
}

// freePort finds a port below those that the system gives out by itself, so that
// a node that is started again finds it free.
func (f *fleet) freePort() int {
	t := f.t
	t.Helper()
	for range 200 {
		port := 10000 + rand.IntN(20000)
		if f.given[port] {
			continue // it is free only because its node has not begun
		}
		address := fmt.Sprintf("%s:%d", f.host, port)
		ln, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		pc, perr := net.ListenPacket("udp", address)
		if perr == nil {
			perr = pc.Close()
		}
		if ln.Close() == nil && perr == nil {
			f.given[port] = true
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// steady makes a cluster whose leader keeps its place on a machine that is busy
// with other things, for tests in which a change of leader would be an accident.
func steady(_ int, c *Config) {
	c.RaftHeartbeat, c.Cluster.GossipProbe = 3*time.Second, 200*time.Millisecond
}

// newFleet prepares nodes n0, n1, …; tune may change their settings.
func newFleet(t testing.TB, size int, tune func(i int, c *Config)) *fleet {
	t.Helper()
	f := &fleet{t: t, host: loopbackHost(), dir: t.TempDir(), wall: newWall(), size: size, tune: tune, log: quiet(),
		given: map[int]bool{}, nodes: make([]*running, size)}
	for i := range size {
		f.ports = append(f.ports, [3]int{f.freePort(), f.freePort(), f.freePort()})
		for _, p := range f.ports[i] {
			f.wall.owns(nodeName(i), p)
		}
	}
	t.Cleanup(func() {
		f.wall.heal()
		for _, r := range f.nodes {
			if r != nil {
				r.stop()
			}
		}
	})
	return f
}

func nodeName(i int) string { return fmt.Sprintf("n%d", i) }

func (f *fleet) config(i int) Config {
	c := MemConfig()
	address := func(kind int) string { return fmt.Sprintf("%s:%d", f.host, f.ports[i][kind]) }
	c.NodeName, c.DataDir = nodeName(i), filepath.Join(f.dir, nodeName(i))
	c.HTTP.Listen, c.HTTP.Token = address(0), "0f3a9c41d2b7e658a1f39c41d2b7e690"
	c.RaftHeartbeat = 200 * time.Millisecond
	// A connection that was opened in reserve counts as in use for five seconds, and
	// a machine may stand still.
	c.HTTP.Grace = time.Minute
	c.Cluster.Expect, c.Cluster.GossipProbe = f.size, 40*time.Millisecond
	c.Cluster.GossipListen, c.Cluster.RaftListen = address(1), address(2)
	c.Cluster.Join = nil
	for j := range f.ports {
		c.Cluster.Join = append(c.Cluster.Join, fmt.Sprintf("%s:%d", f.host, f.ports[j][1]))
	}
	if f.tune != nil {
		f.tune(i, &c)
	}
	return c
}

// begin starts nodes without waiting for anything.
func (f *fleet) begin(which ...int) {
	f.t.Helper()
	for _, i := range which {
		s, err := New(f.config(i), Deps{Log: f.log.With("node", i), Version: "test", Now: f.now})
		require.NoError(f.t, err)
		s.node.cluster.wires = f.wall.wires(nodeName(i))
		f.nodes[i] = f.run(s)
	}
}

// start starts all nodes and waits until each is ready.
func (f *fleet) start() *fleet {
	f.t.Helper()
	for i := range f.size {
		f.begin(i)
	}
	f.ready()
	return f
}

// ready waits until all running nodes lead or follow.
func (f *fleet) ready() {
	f.t.Helper()
	eventually(f.t, func() bool {
		for _, r := range f.nodes {
			if r != nil && len(r.missing()) > 0 {
				return false
			}
		}
		return true
	})
}

func (f *fleet) run(s *Service) *running {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	transport := &http.Transport{MaxIdleConns: 2000, MaxIdleConnsPerHost: 2000}
	r := &running{Service: s, t: f.t, http: &http.Client{Transport: tokened{transport, s.cfg.HTTP.Token}}}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		transport.CloseIdleConnections()
		if err := <-done; err != nil {
			f.t.Errorf("Run: %v", err)
		}
	}
	eventually(f.t, func() bool {
		select {
		case err := <-done:
			require.NoError(f.t, err, "Run")
		default:
		}
		return s.URL() != ""
	})
	r.url = s.URL()
	var err error
	r.client, err = api.NewClient(&api.Config{Address: r.url, HttpClient: r.http})
	require.NoError(f.t, err)
	return r
}

// tokened sends the cluster token along.
type tokened struct {
	next  *http.Transport
	token string
}

func (tk tokened) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Consul-Token", tk.token)
	return tk.next.RoundTrip(r)
}

// stop stops a node in order.
func (f *fleet) stop(i int) {
	f.nodes[i].stop()
	f.nodes[i] = nil
}

// leader waits for a leader that is done with taking over, and gives its number.
func (f *fleet) leader() int {
	f.t.Helper()
	found := -1
	eventually(f.t, func() bool {
		for i, r := range f.nodes {
			if r != nil && r.node.lead.isOpen() && r.node.member.Load().raft.State() == raft.Leader {
				found = i
				return true
			}
		}
		return false
	})
	return found
}

// follower gives the number of a running node that does not lead.
func (f *fleet) follower() int {
	f.t.Helper()
	l := f.leader()
	for i, r := range f.nodes {
		if r != nil && i != l {
			return i
		}
	}
	f.t.Fatal("no follower")
	return -1
}

// voters waits until the leader gives these names of those with a vote: who is slow
// to answer may be missing from gossip for a moment, and with it the name.
func (f *fleet) voters(names ...string) {
	f.t.Helper()
	eventually(f.t, func() bool { return slices.Equal(names, sorted(f.voterNames(f.leader()))) })
}

// voterNames gives the names of those with a vote, as a node sees it.
func (f *fleet) voterNames(i int) []string {
	conf := f.nodes[i].node.member.Load().raft.GetConfiguration()
	require.NoError(f.t, conf.Error())
	var out []string
	for _, s := range conf.Configuration().Servers {
		name := string(s.ID)
		for _, p := range f.nodes[i].node.cluster.peers() {
			if p.id == s.ID {
				name = p.name
			}
		}
		out = append(out, name)
	}
	return out
}

// converge waits until all running nodes hold the same state, and gives it.
func (f *fleet) converge() []byte {
	f.t.Helper()
	var first []byte
	t, _ := f.t.(*testing.T)
	eventually(f.t, func() bool {
		first = nil
		for _, r := range f.nodes {
			if r == nil {
				continue
			}
			img := image(t, r.node.fsm.current())
			if first == nil {
				first = img
			} else if string(first) != string(img) {
				return false
			}
		}
		return true
	})
	return first
}
