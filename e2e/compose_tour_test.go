package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
	"imagemill/services/taskdb"
)

// harm is one way to take a container away, and to give it back.
type harm struct {
	name       string
	hold       time.Duration // how long it is away
	take, give func(t *testing.T, network string, k e2e.Container)
}

func harms() []harm {
	return []harm{
		{"killed", 2 * time.Second, func(t *testing.T, _ string, k e2e.Container) { e2e.Docker(t, "kill", k.ID) },
			func(t *testing.T, _ string, k e2e.Container) { e2e.Docker(t, "start", k.ID) }},
		{"paused", 6 * time.Second, func(t *testing.T, _ string, k e2e.Container) { e2e.Docker(t, "pause", k.ID) },
			func(t *testing.T, _ string, k e2e.Container) { e2e.Docker(t, "unpause", k.ID) }},
		{"disconnected", 6 * time.Second, func(t *testing.T, net string, k e2e.Container) { e2e.Docker(t, "network", "disconnect", net, k.ID) },
			func(t *testing.T, net string, k e2e.Container) {
				e2e.Docker(t, "network", "connect", "--alias", k.Service(), net, k.ID)
			}},
	}
}

// tourist uploads twenty pictures a second, each once and without a second
// try, and remembers how each attempt went.
type tourist struct {
	mu       sync.Mutex
	tried    int
	errors   int
	lastErr  time.Time
	streak   int // uploads accepted since the last error
	accepted map[string]int
	finished int
	pending  sync.WaitGroup
}

func (o *tourist) run(ctx context.Context, t *testing.T, u *user) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	defer o.pending.Wait()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		body := picture(t, n)
		o.pending.Go(func() {
			// An upload that hangs for this long counts as an error, too.
			uctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
			defer cancel()
			id, err := u.upload(uctx, body)
			o.mu.Lock()
			defer o.mu.Unlock()
			o.tried++
			if err != nil {
				o.errors++
				o.lastErr, o.streak = time.Now(), 0
				return
			}
			o.streak++
			o.accepted[id] = n
		})
	}
}

func (o *tourist) read() (tried, errors, streak int, lastErr time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tried, o.errors, o.streak, o.lastErr
}

// Every container in turn is killed, paused, and cut off from the network while
// uploads run: none that was accepted is lost or made twice. The log has the
// table of docs/guarantees.md.
func TestComposeKillTour(t *testing.T) {
	c := compose(t, nil)
	c.Up(nil)
	u := newUser(t, c, 0, 1, 0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := &tourist{accepted: map[string]int{}}
	var done sync.WaitGroup
	done.Go(func() { o.run(ctx, t, u) })
	var table strings.Builder
	for _, service := range []string{"nats", "kvstore", "worker", "storage", "taskdb", "imagemaster", "frontend"} {
		for _, h := range harms() {
			fmt.Fprintln(&table, tour(t, c, o, service, h))
		}
	}
	cancel()
	done.Wait()
	t.Logf("| service | harm | seconds away | uploads | failed | whole again after its return |\n|---|---|---|---|---|---|\n%s", &table)
	nothingLost(t, c, o.accepted)
}

// tour does one harm to one container and gives a row of the table.
func tour(t *testing.T, c *e2e.Compose, o *tourist, service string, h harm) string {
	t.Helper()
	k := c.Containers(service)[0]
	tried, errs, _, _ := o.read()
	h.take(t, c.Network(), k)
	<-time.After(h.hold)
	h.give(t, c.Network(), k)
	back := time.Now()
	// Forty in a row are two seconds without an error; an upload may take long to fail.
	var lastErr time.Time
	began, _, _, _ := o.read()
	c.Eventually("uploads are accepted again after "+service+" was "+h.name, func() bool {
		n, _, streak, last := o.read()
		lastErr = last
		return streak >= 40 && n >= began+40
	})
	tried2, errs2, _, _ := o.read()
	whole := max(0, lastErr.Sub(back))
	return fmt.Sprintf("| %s | %s | %.0f | %d | %d | %.1f s |",
		service, h.name, h.hold.Seconds(), tried2-tried, errs2-errs, whole.Seconds())
}

// nothingLost has every accepted upload finished once, with its own content,
// and no task failed or forgotten.
func nothingLost(t *testing.T, c *e2e.Compose, accepted map[string]int) {
	t.Helper()
	require.NotEmpty(t, accepted)
	c.Ready()
	states := taskStats(t, c)
	require.Zero(t, states[taskdb.Failed]+states[taskdb.Cancelled], "%v", states)
	db := taskdb.NewClient(c.Containers("taskdb")[0].Base(), c.Internal())
	finished := listTasks(t, db, taskdb.Finished)
	again := 0
	for id, n := range accepted {
		require.Contains(t, finished, id, "upload %d", n)
		if finished[id].Attempt > 1 {
			again++
		}
	}
	cl := newUser(t, c, 0, 2, time.Second)
	for id, n := range accepted {
		a, err := cl.call(t.Context(), http.MethodGet, "/image/get?id="+id, nil, http.StatusOK)
		require.NoError(t, err)
		require.NoError(t, checkPicture(n, a.Body))
	}
	t.Logf("%d uploads accepted, all finished with the right content; %d took more than one attempt; %d more tasks than answers that arrived",
		len(accepted), again, len(finished)-len(accepted))
}
