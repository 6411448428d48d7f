package e2e_test

import (
	"context"
	"errors"
	"regexp"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"imagemill/e2e"
	"imagemill/services/taskdb"
)

// A service that is asked to end under load does so in time and in order, and
// no request fails that a client with one retry would notice.
func TestSIGTERM(t *testing.T) {
	p := calmSuite(t)
	p.StartAll(2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	var stop atomic.Bool
	var done atomic.Int64
	users := make([]*user, 8)
	for c := range users {
		users[c] = newUser(t, p, c, 2, time.Second)
		g.Go(func() error {
			for n := c; !stop.Load() && ctx.Err() == nil; n += len(users) {
				if err := users[c].whole(ctx, n, picture(t, n)); err != nil {
					return errors.Join(err, context.Cause(ctx))
				}
				done.Add(1)
			}
			return nil
		})
	}
	worker := instance(t, p.Get("worker-1"))
	for _, s := range append(e2e.Services(), "nats") {
		name := p.Names(s)[0]
		before := done.Load()
		began := time.Now()
		p.Signal(name, syscall.SIGTERM)
		require.Zero(t, p.Wait(name, 3*time.Minute), "exit code of %s", name)
		took := time.Since(began)
		p.Restart(name)
		p.Ready(2)
		at := done.Load()
		p.Eventually("work goes on after "+name, func() bool { return done.Load() > at+50 || ctx.Err() != nil })
		t.Logf("%s ended within %s; %d uploads meanwhile and after", name, took.Round(time.Millisecond), done.Load()-before)
		if ctx.Err() != nil {
			break
		}
	}
	stop.Store(true)
	require.NoError(t, g.Wait())
	tasks := taskdb.NewClient(p.Address("taskdb"), e2e.HTTPClient(t))
	for id, task := range listTasks(t, tasks, taskdb.Finished) {
		for _, f := range task.Failures {
			require.NotEqual(t, worker, f.Worker, "image %s was neither finished nor given back: %s", id, f.Reason)
		}
	}
	var again int64
	for _, u := range users {
		again += u.again.Load()
	}
	t.Logf("%d uploads, %d requests repeated", done.Load(), again)
}

// instance finds the name that a process goes by.
func instance(t *testing.T, proc *e2e.Process) string {
	t.Helper()
	m := regexp.MustCompile(`"instance":"([^"]+)"`).FindStringSubmatch(proc.Log())
	require.NotNil(t, m)
	return m[1]
}
