package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/e2e"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/gossip"
)

// gossipTTL is short for operation, and long for probes on a busy machine.
const gossipTTL = 6 * time.Second

// A suite with no registry at all: the services find each other by gossip, go on
// when some are killed, the first member among them, and are found when they are
// back.
func TestGossip(t *testing.T) {
	first := unusedAddress(t)
	p := calmSuite(t, "IMAGEMILL_DISCOVERY=gossip://"+first, "IMAGEMILL_NATS=none", "IMAGEMILL_DISCOVERY_TTL="+gossipTTL.String(),
		"IMAGEMILL_CLUSTER_TOKEN=gossip-0f8b2c71d3e94a65", "IMAGEMILL_DISCOVERY_GOSSIP_DATA="+t.TempDir(), "IMAGEMILL_TASKDB_MAX_TRIES=20")
	others := []string{"taskdb", "imagemaster-1", "imagemaster-2", "worker-1", "worker-2", "frontend-1", "frontend-2"}
	startFirst(p, first)
	for _, name := range others {
		p.Start(serviceOf(name), name)
	}
	ready(t, p)
	u := newUser(t, p, 0, 100, 200*time.Millisecond) // what is gone comes back within a moment
	require.NoError(t, u.whole(t.Context(), 1, picture(t, 1)))

	// It has no key, so it sees nobody; nor do the services see it.
	stranger := observe(t, gossip.Config{Join: []string{first}, Label: "imagemill"})
	p.Kill("worker-1")
	p.Kill("imagemaster-1")
	require.NoError(t, u.whole(t.Context(), 2, picture(t, 2)))
	p.Kill("storage")
	startFirst(p, first)
	p.Restart("worker-1")
	p.Restart("imagemaster-1")
	require.NoError(t, u.whole(t.Context(), 3, picture(t, 3)))
	ready(t, p)
	assert.Empty(t, <-stranger, "whoever has no key sees nobody")

	for _, name := range append(others, "storage") {
		p.Kill(name)
	}
	for _, name := range others { // the first one last
		p.Restart(name)
	}
	startFirst(p, first)
	ready(t, p)
	require.NoError(t, u.whole(t.Context(), 4, picture(t, 4)))
}

// An instance that was killed is gone from what others see after the TTL and a
// second, and one that is stopped properly is gone at once.
func TestGossipDeath(t *testing.T) {
	first := unusedAddress(t)
	p := suite(t, "IMAGEMILL_DISCOVERY=gossip://"+first, "IMAGEMILL_NATS=none", "IMAGEMILL_DISCOVERY_TTL="+gossipTTL.String())
	startFirst(p, first)
	for _, name := range []string{"taskdb", "worker-1", "worker-2", "worker-3"} {
		p.Start(serviceOf(name), name)
	}
	sets := observe(t, gossip.Config{Join: []string{first}, Label: "imagemill", TTL: gossipTTL})
	see(t, sets, "worker", 3)
	began := time.Now()
	p.Kill("worker-1")
	see(t, sets, "worker", 2)
	took := time.Since(began)
	t.Logf("a killed worker is gone after %s, with a TTL of %s", took.Round(time.Millisecond), gossipTTL)
	assert.Less(t, took, gossipTTL+3*time.Second)
	began = time.Now()
	p.Signal("worker-2", syscall.SIGTERM)
	see(t, sets, "worker", 1)
	t.Logf("a stopped worker is gone %s after the signal", time.Since(began).Round(time.Millisecond))
}

// unusedAddress is on a port that stays free for this test.
func unusedAddress(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", e2e.FreePort(t))
}

// startFirst starts the member that the others join, which is the storage.
func startFirst(p *e2e.Processes, listen string) {
	env := p.Env
	p.Env = append(slices.Clip(env), "IMAGEMILL_DISCOVERY_GOSSIP_LISTEN="+listen)
	p.Start("storage", "storage")
	p.Env = env
}

// serviceOf is the service of a process's name, "worker-2".
func serviceOf(name string) string {
	service, _, _ := strings.Cut(name, "-")
	return service
}

// ready waits until both frontends have all that they need.
func ready(t *testing.T, p *e2e.Processes) {
	t.Helper()
	for _, url := range p.URLs() {
		p.Eventually(url+" is ready", func() bool { return p.Status(url+"/readyz") == http.StatusOK })
	}
}

// observe makes this process a member for as long as the test runs, and gives all
// that it sees.
func observe(t *testing.T, cfg gossip.Config) <-chan []discovery.Instance {
	t.Helper()
	reg, err := gossip.New(cfg, gossip.Deps{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- reg.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
	return reg.Watch(ctx, "")
}

// see waits for a set with so many instances of a service.
func see(t *testing.T, sets <-chan []discovery.Instance, service string, want int) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case set := <-sets:
			n := 0
			for _, in := range set {
				if in.Service == service {
					n++
				}
			}
			if n == want {
				return
			}
		case <-deadline:
			require.FailNow(t, "not seen", "%d of %s", want, service)
		}
	}
}
