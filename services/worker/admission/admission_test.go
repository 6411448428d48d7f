package admission

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
)

// job enters in a goroutine of its own; in is closed when it is let in.
type job struct {
	in    chan struct{}
	leave func()
	err   error
	done  chan struct{}
}

func enter(ctx context.Context, g *Gate, bytes int64) *job {
	j := &job{in: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(j.done)
		if j.leave, j.err = g.Enter(ctx, bytes); j.err == nil {
			close(j.in)
		}
	}()
	synctest.Wait()
	return j
}

func (j *job) isIn() bool {
	synctest.Wait()
	select {
	case <-j.in:
		return true
	default:
		return false
	}
}

func TestJobsRunTogetherOnlyWithinTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(100)
		a, b := enter(t.Context(), g, 60), enter(t.Context(), g, 50)
		require.True(t, a.isIn())
		require.False(t, b.isIn())
		require.EqualValues(t, 60, g.Reserved())
		require.Equal(t, 1, g.Waiting())
		small := enter(t.Context(), g, 40)
		require.True(t, small.isIn(), "small ones pass")
		a.leave()
		a.leave()
		require.True(t, b.isIn())
		require.EqualValues(t, 90, g.Reserved(), "leaving twice gives room back once")
		b.leave()
		small.leave()
		require.Zero(t, g.Reserved())
		require.Zero(t, g.Waiting())
	})
}

func TestALargeJobIsPassedOnlySoOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(100)
		running := []*job{enter(t.Context(), g, 30)}
		large := enter(t.Context(), g, 100)
		passed := 0
		for range 3 * Bypass {
			small := enter(t.Context(), g, 30)
			if !small.isIn() {
				running = append(running, small)
				break
			}
			passed++
			small.leave()
		}
		require.Equal(t, Bypass, passed)
		require.False(t, large.isIn())
		running[0].leave()
		require.True(t, large.isIn(), "it is the next once there is room")
		require.False(t, running[1].isIn())
		large.leave()
		require.True(t, running[1].isIn())
		running[1].leave()
	})
}

func TestAnEndlessStreamOfSmallJobsDoesNotStarveALargeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(100)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for ctx.Err() == nil {
					leave, err := g.Enter(ctx, 20)
					if err != nil {
						return
					}
					<-time.After(time.Duration(1+rand.IntN(9)) * time.Millisecond)
					leave()
				}
			})
		}
		<-time.After(time.Second)
		start := time.Now()
		leave, err := g.Enter(ctx, 100)
		require.NoError(t, err)
		require.Less(t, time.Since(start), time.Second)
		leave()
		stop()
		wg.Wait()
	})
}

func TestWhoGivesUpStandsInNobodysWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(100)
		first := enter(t.Context(), g, 60)
		ctx, cancel := context.WithCancel(t.Context())
		large := enter(ctx, g, 100)
		g.waiting[0].passed = Bypass
		small := enter(t.Context(), g, 10)
		require.False(t, small.isIn())
		cancel()
		<-large.done
		require.ErrorIs(t, large.err, context.Canceled)
		require.True(t, small.isIn())
		first.leave()
		small.leave()
		require.Zero(t, g.Reserved())
	})
}

func TestAJobLargerThanTheBudgetIsRefusedAtOnce(t *testing.T) {
	g := New(700 << 20)
	_, err := g.Enter(t.Context(), 900<<20)
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
	require.Equal(t, "the picture would need about 900 MiB of memory to process; this worker may use 700 MiB", fault.As(err).Public)
	require.Zero(t, g.Waiting())
	leave, err := New(0).Enter(t.Context(), 1<<60)
	require.NoError(t, err, "no budget, no bound")
	leave()
}

// Whatever comes and goes, also by giving up, the budget holds and nothing stays
// reserved.
func TestTheBudgetHolds(t *testing.T) {
	const budget = 1000
	g := New(budget)
	var now, entered atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 300 {
				n := 1 + rand.Int64N(budget)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(2000))*time.Microsecond)
				leave, err := g.Enter(ctx, n)
				if err == nil {
					entered.Add(1)
					if sum := now.Add(n); sum > budget {
						t.Errorf("%d of %d reserved", sum, budget)
					}
					now.Add(-n)
					leave()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	require.Positive(t, entered.Load())
	require.Zero(t, g.Reserved())
	require.Zero(t, g.Waiting())
}

func TestTheDefaultBudgetIsAShareOfWhatTheProcessMayUse(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	machine := file("MemTotal:       10240 kB\nMemFree: 1 kB\n")
	const mib = 1 << 20
	for name, c := range map[string]struct {
		files fstest.MapFS
		limit int64
	}{
		"no limit":     {fstest.MapFS{"proc/meminfo": machine}, 10 * mib},
		"nothing told": {fstest.MapFS{}, unknown},
		"version 2": {fstest.MapFS{
			"proc/meminfo": machine, "proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("4194304\n"),
		}, 4 * mib},
		"a group above": {fstest.MapFS{
			"proc/meminfo": machine, "proc/self/cgroup": file("0::/a/b\n"),
			"sys/fs/cgroup/a/b/memory.max": file("max\n"), "sys/fs/cgroup/a/memory.max": file("5242880\n"),
		}, 5 * mib},
		"a container that sees its own group only": {fstest.MapFS{
			"proc/meminfo": machine, "proc/self/cgroup": file("0::/../x\n"), "sys/fs/cgroup/memory.max": file("3145728\n"),
		}, 3 * mib},
		"version 1": {fstest.MapFS{
			"proc/meminfo": machine, "proc/self/cgroup": file("5:cpu:/c\n4:memory:/m\n"),
			"sys/fs/cgroup/memory/m/memory.limit_in_bytes": file("2097152\n"),
		}, 2 * mib},
		"no limit in version 1": {fstest.MapFS{
			"proc/meminfo": machine, "proc/self/cgroup": file("4:memory:/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n"),
		}, 10 * mib},
		"rubbish": {fstest.MapFS{"proc/meminfo": file("MemTotal\nx"), "proc/self/cgroup": file("x\n::\n")}, unknown},
	} {
		require.Equal(t, c.limit/10*7, DefaultBudget(c.files), name)
	}
}
