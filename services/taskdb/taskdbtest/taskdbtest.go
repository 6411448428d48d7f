// Package taskdbtest holds the suite that every taskdb.Store passes: memory,
// SQLite, PostgreSQL, and the client over HTTP in front of each. It also holds the
// benchmarks that they share, and a check that no task is held by two attempts
// ([Quarrel]).
//
// It promises to try each outcome that the contract names, under a clock of its
// own, and to walk at random while comparing with taskdb.Memory. It does not
// test durability, which is each backend's own.
package taskdbtest

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

// Env is what a store under test is to be opened with.
type Env struct {
	Config taskdb.Config
	Now    func() time.Time
	Events events.Publisher
}

// Open gives an empty store, closed by a cleanup of t.
type Open func(t *testing.T, env Env) taskdb.Store

// Run runs the suite. Each case opens a store of its own.
func Run(t *testing.T, open Open) {
	for _, group := range []map[string]func(*testing.T, *fixture){
		createCases(), claimCases(), endCases(), leaseCases(), listCases(), raceCases(), walkCases(), recordCases(), queueCases(), scheduleCases(),
		removalCases(), repeatCases(), purgeCases(), twinCases(),
	} {
		for name, fn := range group {
			t.Run(name, func(t *testing.T) { fn(t, newFixture(t, open)) })
		}
	}
}

// Clock is a clock that only Advance moves. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts a clock at a fixed time.
func NewClock() *Clock { return &Clock{now: time.Date(2030, 1, 2, 3, 4, 5, 6000, time.UTC)} }

// Now gives the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock, also back.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Heard is a Publisher that keeps what it hears.
type Heard struct {
	mu  sync.Mutex
	all []events.Event
}

// Publish implements events.Publisher.
func (h *Heard) Publish(e events.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, e)
}

// Take gives what was heard since the last Take.
func (h *Heard) Take() []events.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all
	h.all = nil
	return all
}

// Config is the configuration of the suite: three tries, two deaths, and much time for
// calls that a busy machine lets stand.
func Config() taskdb.Config {
	cfg := taskdb.DefaultConfig()
	cfg.Lease, cfg.MaxTries, cfg.MaxDeaths = 15*time.Second, 3, 2
	cfg.BackoffMin, cfg.BackoffMax = time.Second, 10*time.Second
	cfg.Timeout = 2 * time.Minute
	return cfg
}

// ID gives the n-th of a rising row of task IDs.
func ID(n int) string { return fmt.Sprintf("01890000-0000-7000-8000-%012x", n) }

// New gives a valid task to create.
func New(n int) taskdb.NewTask {
	return taskdb.NewTask{
		ID: ID(n), Pipeline: []byte(`{"renditions":[{"name":"main"}]}`),
		Original: taskdb.Blob{Key: ID(n), Size: 1234, SHA256: strings.Repeat("0f", 32), ContentType: "image/jpeg"},
	}
}

// fixture is one store with its clock and what it tells.
type fixture struct {
	*testing.T
	taskdb.Store
	cfg   taskdb.Config
	clock *Clock
	heard *Heard
}

func newFixture(t *testing.T, open Open) *fixture {
	f := &fixture{T: t, cfg: Config(), clock: NewClock(), heard: &Heard{}}
	f.Store = open(t, Env{Config: f.cfg, Now: f.clock.Now, Events: f.heard})
	return f
}

// create makes the n-th task.
func (f *fixture) create(n int) taskdb.Task {
	f.Helper()
	t, err := f.Create(f.Context(), New(n))
	require.NoError(f, err)
	return t
}

// claim takes exactly want tasks of at most most, and gives them.
func (f *fixture) claim(most, want int) []taskdb.Task {
	f.Helper()
	ts, err := f.Claim(f.Context(), taskdb.Claim{Worker: "w1", Max: most})
	require.NoError(f, err)
	require.Len(f, ts, want)
	return ts
}

// held makes the n-th task and claims it.
func (f *fixture) held(n int) taskdb.Task {
	f.Helper()
	f.create(n)
	t := f.claim(1, 1)[0]
	require.Equal(f, ID(n), t.ID)
	f.heard.Take()
	return t
}

func (f *fixture) get(n int) taskdb.Task {
	f.Helper()
	t, err := f.Get(f.Context(), ID(n))
	require.NoError(f, err)
	return t
}

// refused checks the kind of an error, and its state where one is given.
func (f *fixture) refused(err error, kind fault.Kind, state ...taskdb.State) {
	f.Helper()
	require.Error(f, err)
	require.Equal(f, kind, fault.KindOf(err), "%v", err)
	for _, s := range state {
		require.Equal(f, string(s), fault.As(err).State, "%v", err)
	}
}

// heardOnly checks what was published since the last look; an end must have
// carried the task as it is stored.
func (f *fixture) heardOnly(want ...events.Event) {
	f.Helper()
	got := f.heard.Take()
	for i, e := range got {
		if e.Kind != events.Ended {
			continue
		}
		stored, err := f.Get(f.Context(), e.TaskID)
		require.NoError(f, err)
		data, err := json.Marshal(stored)
		require.NoError(f, err)
		require.JSONEq(f, string(data), string(e.Task))
		got[i].Task = nil
	}
	require.Equal(f, want, got)
}

func result(attempt int) taskdb.Result {
	return taskdb.Result{
		Attempt: attempt, Worker: "w1", Engine: "imaging", Width: 4000, Height: 3000, Format: "jpeg",
		Renditions: []taskdb.Rendition{{
			Name: "main", Format: "png", Width: 40, Height: 30,
			Blob: taskdb.Blob{Key: "k-main", Size: 99, SHA256: strings.Repeat("ab", 32), ContentType: "image/png"},
		}},
		Facts: &taskdb.Facts{
			EXIF: map[string]string{"Artist": "É. <Müller> & co"}, Colors: []string{"#cc1122", "#1020dd"},
			BlurHash: "LEHV6nWB2yk8pyo0adR*.7kCMdnj", PHash: "00ff00ff00ff00ff",
		},
	}
}

func failing(attempt int, retryable bool) taskdb.Failure {
	return taskdb.Failure{Attempt: attempt, Worker: "w1", Reason: "storage <away> & gone", Retryable: retryable}
}
