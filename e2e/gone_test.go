package e2e_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
)

// Without the registry, what knows each other goes on working; when it is back,
// even without its data, everything announces itself again, also what was
// started in between.
func TestRegistryGone(t *testing.T) {
	p := calmSuite(t)
	p.StartAll(2)
	u := newUser(t, p, 0, 2, 200*time.Millisecond)
	require.NoError(t, u.whole(t.Context(), 1, picture(t, 1)))
	away := time.Duration(setting(t, "IMAGEMILL_E2E_REGISTRY_GONE", 20)) * time.Second
	if os.Getenv("IMAGEMILL_CI") == "1" {
		away = time.Minute
	}
	p.Kill("kvstore")
	p.Forget("kvstore")
	p.Start("worker", "worker-3")
	n := len(uploadFor(t, u, away))
	began := time.Now()
	p.Restart("kvstore")
	p.Ready(3)
	t.Logf("%d uploads in %s without registry, %d requests repeated; all announced %s after its return",
		n, away, u.again.Load(), time.Since(began).Round(time.Millisecond))
	require.NoError(t, u.whole(t.Context(), 2, picture(t, 2)))
}

// uploadFor follows one upload after the other to its end for so long, and five at
// least, and gives how long each took, the quickest first.
func uploadFor(t *testing.T, u *user, d time.Duration) (took []time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	for n := 0; n < 5 || ctx.Err() == nil; n++ {
		began := time.Now()
		require.NoError(t, u.whole(t.Context(), n, picture(t, n)))
		took = append(took, time.Since(began))
		_ = pause(ctx, 50*time.Millisecond) // its end is the loop's
	}
	slices.Sort(took)
	return took
}

// slowPoll is more than two polls of a second take, one for the work and one for
// its end, and less than any wait lasts that only an event could end.
const slowPoll = 4500 * time.Millisecond

// Without NATS from the start, all waits are slow polls, and all ends well.
func TestNATSNever(t *testing.T) {
	p := calmSuite(t, "IMAGEMILL_WORKER_WAIT=1m")
	for _, s := range e2e.Services() {
		p.StartService(s, 2)
	}
	p.Ready(2)
	u := newUser(t, p, 0, 2, 200*time.Millisecond)
	u.wait = time.Minute
	took := uploadFor(t, u, 8*time.Second)
	t.Logf("without NATS: %s from upload to download, %s at most", took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	require.Zero(t, u.again.Load(), "no request fails for want of NATS")
	require.Less(t, took[len(took)-1], slowPoll, "polls do what events did")
}

// NATS may go and come back while work is under way.
func TestNATSGone(t *testing.T) {
	p := calmSuite(t, "IMAGEMILL_WORKER_WAIT=1m")
	p.StartAll(2)
	u := newUser(t, p, 0, 2, 200*time.Millisecond)
	u.wait = time.Minute
	for _, what := range []string{"with", "without", "again with"} {
		switch what {
		case "without":
			p.Kill("nats")
		case "again with":
			before := connected(p)
			p.Restart("nats")
			p.Eventually("all are connected again", func() bool {
				for name, n := range connected(p) {
					if n <= before[name] {
						return false
					}
				}
				return true
			})
		}
		took := uploadFor(t, u, 5*time.Second)
		require.Less(t, took[len(took)-1], slowPoll, "%s NATS", what)
		t.Logf("%s NATS: %s from upload to download, %s at most", what, took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	}
	require.Zero(t, u.again.Load(), "no request fails for want of NATS")
}

// connected counts how often each that listens to NATS found it again.
func connected(p *e2e.Processes) map[string]int {
	n := map[string]int{}
	for _, service := range []string{"taskdb", "imagemaster"} {
		for _, name := range p.Names(service) {
			n[name] = strings.Count(p.Get(name).Log(), "NATS is back")
		}
	}
	return n
}
