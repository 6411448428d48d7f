package e2e_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"imagemill/e2e"
	"imagemill/services/taskdb"
)

// portRange lets several frontends have a port of the host each.
const portRange = "18400-18419"

// steady runs users that upload one picture after the other, twenty a second
// in all, and tries each request twice at most, until stop is called; stop
// gives the accepted uploads and how many requests were repeated.
func steady(t *testing.T, c *e2e.Compose) (stop func() (map[string]int, int64)) {
	t.Helper()
	const users = 8
	ctx, cancel := context.WithCancel(t.Context())
	g, gctx := errgroup.WithContext(ctx)
	var mu sync.Mutex
	accepted := map[string]int{}
	all := make([]*user, users)
	for i := range all {
		all[i] = newUser(t, c, i, 2, 2*time.Second)
		g.Go(func() error {
			for n := i; gctx.Err() == nil; n += users {
				id, err := all[i].upload(context.WithoutCancel(gctx), picture(t, n))
				if err != nil {
					return err
				}
				mu.Lock()
				accepted[id] = n
				mu.Unlock()
				if err := all[i].follow(context.WithoutCancel(gctx), n, id); err != nil {
					return err
				}
				_ = pause(gctx, users*50*time.Millisecond) // its end is the loop's
			}
			return nil
		})
	}
	return func() (map[string]int, int64) {
		t.Helper()
		cancel()
		require.NoError(t, g.Wait(), "a user who tries twice saw an error")
		var again int64
		for _, u := range all {
			again += u.again.Load()
		}
		return accepted, again
	}
}

// New workers are at work within five seconds of their start, and go without a
// trace.
func TestComposeScale(t *testing.T) {
	c := compose(t, nil)
	c.Up(map[string]int{"worker": 1})
	stop := steady(t, c)
	db := taskdb.NewClient(c.Containers("taskdb")[0].Base(), c.Internal())
	c.Eventually("the one worker is at work", func() bool { return len(firstResults(t, db)) == 1 })
	c.Run("up", "-d", "--no-build", "--no-recreate", "--scale", "worker=4", "worker")
	var first map[string]time.Time
	c.Eventually("four workers are at work", func() bool { first = firstResults(t, db); return len(first) == 4 })
	for _, k := range c.Containers("worker")[1:] {
		// Which worker lives where is not asked: the slowest counts for all.
		var last time.Duration
		for _, at := range first {
			last = max(last, at.Sub(k.State.StartedAt))
		}
		t.Logf("%s: %s from its start to the first result of the last new worker", k.Name, last.Round(time.Millisecond))
		require.Less(t, last, 5*time.Second)
	}
	c.Run("up", "-d", "--no-build", "--no-recreate", "--scale", "worker=1", "worker")
	c.Eventually("one worker is left", func() bool { return len(c.Containers("worker")) == 1 })
	<-time.After(3 * time.Second) // uploads go on
	accepted, again := stop()
	t.Logf("%d requests repeated", again)
	nothingLost(t, c, accepted)
}

// firstResults gives the time of the first result of each worker.
func firstResults(t *testing.T, db *taskdb.Client) map[string]time.Time {
	t.Helper()
	first := map[string]time.Time{}
	for _, task := range listTasks(t, db, taskdb.Finished) {
		if at, ok := first[task.Result.Worker]; !ok || task.Updated.Before(at) {
			first[task.Result.Worker] = task.Updated
		}
	}
	return first
}

// With two frontends and two masters, one of each can be killed, and nobody
// who tries twice notices.
func TestComposeTwoOfEach(t *testing.T) {
	c := compose(t, map[string]string{"IMAGEMILL_PORT": portRange})
	c.Up(map[string]int{"frontend": 2, "imagemaster": 2})
	require.Len(t, c.URLs(), 2)
	stop := steady(t, c)
	for _, service := range []string{"imagemaster", "frontend"} {
		<-time.After(3 * time.Second) // under load
		e2e.Docker(t, "kill", c.Containers(service)[0].ID)
		<-time.After(3 * time.Second)
	}
	accepted, again := stop()
	t.Logf("%d uploads, %d requests repeated", len(accepted), again)
	nothingLost(t, c, accepted)
}

// Every service is replaced by its next version, one after the other, the two
// versions mixed meanwhile; nobody who tries twice notices.
func TestComposeRollingRestart(t *testing.T) {
	c := compose(t, map[string]string{"IMAGEMILL_PORT": portRange})
	scale := map[string]int{"frontend": 2, "imagemaster": 2, "worker": 2}
	next := nextImage(t)
	c.Up(scale)
	stop := steady(t, c)
	c.Set("IMAGEMILL_IMAGE", next)
	for _, service := range e2e.Services() {
		<-time.After(2 * time.Second) // under load, the versions mixed
		c.Roll(service, max(scale[service], 1))
		for _, k := range c.Containers(service) {
			require.Equal(t, "next", k.Config.Labels["imagemill.e2e"], k.Name)
		}
	}
	accepted, again := stop()
	t.Logf("%d uploads, %d requests repeated", len(accepted), again)
	nothingLost(t, c, accepted)
}

// nextImage makes an image that differs from the one under test, as far as
// Compose can tell.
func nextImage(t *testing.T) string {
	t.Helper()
	name := "imagemill:e2e-next"
	e2e.DockerBuild(t, "FROM "+e2e.ComposeImage()+"\nLABEL imagemill.e2e=next\n", name)
	t.Cleanup(func() { e2e.Docker(t, "image", "rm", "-f", name) })
	return name
}
