package tidy

import (
	"context"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const mib = 1 << 20

// process is what a keeper looks at in a test.
type process struct {
	mu sync.Mutex
	usage
	cycle chan struct{}
	looks int
	freed []time.Duration // since the start
	begun time.Time
}

// burst makes the process allocate and hold more.
func (p *process) burst(bytes uint64) {
	p.mu.Lock()
	p.allocated += bytes
	p.held += bytes
	close(p.cycle)
	p.cycle = make(chan struct{})
	p.mu.Unlock()
	synctest.Wait()
}

func (p *process) keeper() *keeper {
	return &keeper{
		level: 10 * mib,
		collected: func() <-chan struct{} {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.cycle
		},
		look: func() usage {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.looks++
			return p.usage
		},
		free: func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.held = 11 * mib
			p.freed = append(p.freed, time.Since(p.begun))
		},
	}
}

// tidied is when memory was freed, since the start.
func (p *process) tidied() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.freed)
}

func (p *process) looked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.looks
}

func watched(t *testing.T, test func(p *process)) {
	synctest.Test(t, func(t *testing.T) {
		p := &process{usage: usage{held: 10 * mib}, cycle: make(chan struct{}), begun: time.Now()}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.keeper().run(ctx) }()
		synctest.Wait()
		test(p)
		cancel()
		require.NoError(t, <-done)
	})
}

// pass lets time go by, which a test in a bubble does not wait for.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestOnceAfterABurst(t *testing.T) {
	watched(t, func(p *process) {
		p.burst(20 * mib)
		pass(time.Hour)
		assert.Equal(t, []time.Duration{pause}, p.tidied())
		looks := p.looked()
		pass(time.Hour)
		assert.Equal(t, looks, p.looked(), "an idle process is not looked at")
		p.burst(20 * mib)
		pass(time.Hour)
		assert.Len(t, p.tidied(), 2, "another burst")
	})
}

func TestNotDuringABurst(t *testing.T) {
	watched(t, func(p *process) {
		p.burst(2 * mib)
		pass(pause / 2)
		for range 10 {
			p.burst(2 * mib)
			pass(pause)
			assert.Empty(t, p.tidied())
		}
		pass(pause)
		assert.Len(t, p.tidied(), 1)
	})
}

func TestNotForLittle(t *testing.T) {
	watched(t, func(p *process) {
		p.burst(3 * mib)
		pass(time.Hour)
		assert.Empty(t, p.tidied())
	})
}

func TestStopsDuringABurst(t *testing.T) {
	watched(t, func(p *process) { p.burst(20 * mib) })
}

// The memory of this very process goes down, though nobody asks for a collection
// after the burst.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Run(ctx, 0) }()
	burst := make([][]byte, 64)
	for i := range burst {
		burst[i] = make([]byte, mib)
	}
	before := look().held
	require.Greater(t, before, uint64(64*mib))
	runtime.KeepAlive(burst)
	require.Eventually(t, func() bool { return look().held < before-50*mib }, time.Minute, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}

// The collector waits for the slack, from the first collection on, and the slack
// ends with Run.
func TestSlack(t *testing.T) {
	const slack = 64 * mib
	goal := func() uint64 {
		runtime.GC()
		s := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	require.Less(t, goal(), uint64(slack))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Run(ctx, slack) }()
	require.Eventually(t, func() bool { return goal() >= 2*slack }, time.Minute, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
	require.Eventually(t, func() bool { return goal() < slack }, time.Minute, 10*time.Millisecond)
}
