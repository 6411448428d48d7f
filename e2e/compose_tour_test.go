package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
	"imagemill/services/taskdb"
)

// digits are what differs between errors that are the same.
var digits = regexp.MustCompile(`[0-9a-f-]{4,}|[0-9]+`)

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
// try, and remembers how each went.
type tourist struct {
	mu       sync.Mutex
	seen     sights
	accepted map[string]int
	pending  sync.WaitGroup
}

// sights is what a tourist has seen.
type sights struct {
	begun, ended, failed int
	streak               int // uploads accepted since the last failure
	lastFailure          time.Time
	longest              time.Duration  // of an upload that was accepted
	why                  map[string]int // failures by their text, digits left out
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
		o.mu.Lock()
		o.seen.begun++
		o.mu.Unlock()
		o.pending.Go(func() {
			// An upload that hangs for this long has failed, too.
			uctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
			defer cancel()
			began := time.Now()
			id, err := u.upload(uctx, body)
			o.note(n, id, time.Since(began), err)
		})
	}
}

func (o *tourist) note(n int, id string, took time.Duration, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen.ended++
	if err != nil {
		o.seen.failed++
		o.seen.lastFailure, o.seen.streak = time.Now(), 0
		o.seen.why[digits.ReplaceAllString(err.Error(), "")]++
		return
	}
	o.seen.streak++
	o.seen.longest = max(o.seen.longest, took)
	o.accepted[id] = n
}

// look gives what was seen, and forgets the reasons and the longest.
func (o *tourist) look() sights {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.seen
	o.seen.why, o.seen.longest = map[string]int{}, 0
	return now
}

func (o *tourist) read() sights {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen
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
	o := &tourist{accepted: map[string]int{}, seen: sights{why: map[string]int{}}}
	var done sync.WaitGroup
	done.Go(func() { o.run(ctx, t, u) })
	var table strings.Builder
	for _, service := range tourStops() {
		for _, h := range harms() {
			fmt.Fprintln(&table, tour(t, c, o, service, h))
		}
	}
	cancel()
	done.Wait()
	t.Logf("| service | harm | away, s | uploads | failed | longest, s | last failure after its return, s |\n|---|---|---|---|---|---|---|\n%s", &table)
	nothingLost(t, c, o.accepted)
}

// tour does one harm to one container and gives a row of the table.
func tour(t *testing.T, c *e2e.Compose, o *tourist, service string, h harm) string {
	t.Helper()
	k := c.Containers(service)[0]
	before := o.look()
	gone := time.Now()
	h.take(t, c.Network(), k)
	<-time.After(h.hold)
	h.give(t, c.Network(), k)
	back := time.Now()
	began := o.read().begun
	// Forty in a row are two seconds without a failure.
	c.Eventually("uploads are accepted again after "+service+" was "+h.name, func() bool {
		now := o.read()
		return now.streak >= 40 && now.begun >= began+40
	})
	begun := o.read().begun
	c.Eventually("all uploads have ended", func() bool { return o.read().ended >= begun })
	after := o.look()
	for why, n := range after.why {
		t.Logf("%s %s: %d times %.500s", service, h.name, n, why)
	}
	return fmt.Sprintf("| %s | %s | %.1f | %d | %d | %.1f | %.1f |", service, h.name, back.Sub(gone).Seconds(),
		begun-before.begun, after.failed-before.failed, after.longest.Seconds(), max(0, after.lastFailure.Sub(back)).Seconds())
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

// tourStops are the services that are harmed; IMAGEMILL_E2E_TOUR names fewer.
func tourStops() []string {
	if some := os.Getenv("IMAGEMILL_E2E_TOUR"); some != "" {
		return strings.Split(some, ",")
	}
	return []string{"nats", "kvstore", "worker", "storage", "taskdb", "imagemaster", "frontend"}
}
