package taskdbtest

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

// linearTasks is how many tasks 16 workers quarrel about.
const linearTasks = 48

// Quarrel is a history of calls about few tasks, made by many workers, while the
// store is troubled.
type Quarrel struct {
	// Store gives the store of the moment.
	Store func() taskdb.Store
	// Trouble is called again and again while the workers work; nil for none.
	Trouble func()
	// Calls is how many calls are enough, and Troubles how much trouble. Where that takes
	// long, no more than twice as many calls are made.
	Calls, Troubles int

	begun   time.Time
	mu      sync.Mutex
	history []porcupine.Operation
	orphans atomic.Bool // a claim has an unknown outcome
	unknown int
}

// LinearConfig is a configuration in which tasks never run out of attempts, and
// leases do not run out.
func LinearConfig() taskdb.Config {
	cfg := Config()
	cfg.Lease, cfg.MaxTries, cfg.MaxDeaths, cfg.BackoffMin, cfg.BackoffMax = time.Hour, 100, 100, 0, 0
	return cfg
}

// Run makes the history and tells whether it could have happened one call after
// the other: then no task was ever held by two attempts.
func (q *Quarrel) Run(t *testing.T) porcupine.CheckResult {
	t.Helper()
	q.begun = time.Now()
	for n := range linearTasks {
		_, err := q.Store().Create(t.Context(), New(n))
		require.NoError(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var all sync.WaitGroup
	var left, troubles atomic.Int64
	left.Store(int64(q.Calls))
	more := func() bool {
		return ctx.Err() == nil && (left.Load() > 0 || troubles.Load() < int64(q.Troubles))
	}
	for i := range 16 {
		all.Go(func() {
			w := &quarreller{q: q, client: i, held: map[string]int{}}
			for more() {
				if left.Load() <= -int64(q.Calls) { // trouble is late, and tasks have only so many tries
					<-time.After(time.Millisecond)
					continue
				}
				left.Add(-int64(w.step(ctx)))
			}
		})
	}
	if q.Trouble != nil {
		for more() {
			q.Trouble()
			troubles.Add(1)
		}
	}
	all.Wait()
	require.NoError(t, ctx.Err(), "the calls took too long")
	for i := range linearTasks { // the last word
		task, err := q.Store().Get(t.Context(), ID(i))
		require.NoError(t, err)
		q.record(99, quarrelIn{id: ID(i), kind: "get"}, quarrelOut{ok: true, state: task.State, attempt: task.Attempt}, time.Since(q.begun))
	}
	checked := time.Now()
	model := quarrelModel(q.orphans.Load())
	result := porcupine.CheckOperationsTimeout(model.ToModel(), q.history, 2*time.Minute)
	t.Logf("%d calls, %d of them of unknown outcome; checked in %s", len(q.history), q.unknown, time.Since(checked).Round(time.Millisecond))
	return result
}

// quarrelIn is one call about one task.
type quarrelIn struct {
	id, kind string
	attempt  int
}

// quarrelOut is its outcome.
type quarrelOut struct {
	ok, unknown bool
	state       taskdb.State // of get
	attempt     int          // of get and claim
}

func (q *Quarrel) record(client int, in quarrelIn, out quarrelOut, call time.Duration) {
	end := int64(time.Since(q.begun))
	if out.unknown {
		end = math.MaxInt64 // it may yet happen
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if out.unknown {
		q.unknown++
	}
	q.history = append(q.history, porcupine.Operation{ClientId: client, Input: in, Call: int64(call), Output: out, Return: end})
}

// quarreller is one worker, with the attempts that it believes to hold.
type quarreller struct {
	q      *Quarrel
	client int
	held   map[string]int
}

// step makes one call, mostly one about what it holds or held, and gives how many
// tasks it was about.
func (w *quarreller) step(ctx context.Context) int {
	call := time.Since(w.q.begun)
	s := w.q.Store()
	if rand.IntN(4) == 0 {
		return w.claim(ctx, s, call)
	}
	in := quarrelIn{id: ID(rand.IntN(linearTasks)), attempt: 1 + rand.IntN(3)}
	for id, attempt := range w.held {
		in.id, in.attempt = id, attempt
		break
	}
	lease := taskdb.Lease{ID: in.id, Attempt: in.attempt}
	var err error
	switch n := rand.IntN(100); {
	case n < 40:
		in.kind = "renew"
		_, err = s.Renew(ctx, lease, 0.5)
	case n < 60:
		in.kind = "fail"
		_, err = s.Fail(ctx, in.id, failing(in.attempt, true))
	case n < 75:
		in.kind = "release"
		err = s.Release(ctx, lease)
	case n < 85:
		in.kind = "cancel"
		_, err = s.Cancel(ctx, in.id)
	case n < 98 || rand.IntN(6) > 0: // few are finished: those are out of the game
		in.id, in.kind = ID(rand.IntN(linearTasks)), "retry"
		_, err = s.Retry(ctx, in.id)
	default:
		in.kind = "finish"
		_, err = s.Finish(ctx, in.id, result(in.attempt))
	}
	if closing(err) {
		return 0
	}
	if rand.IntN(3) == 0 { // or else it does not know that it lost it, or says it again
		delete(w.held, in.id)
	}
	unknown := err != nil && fault.KindOf(err) != fault.Conflict
	if !unknown || in.kind != "renew" { // of which nobody sees whether it happened
		w.q.record(w.client, in, quarrelOut{ok: err == nil, unknown: unknown}, call)
	}
	if unknown {
		w.await(ctx)
	}
	return 1
}

func (w *quarreller) claim(ctx context.Context, s taskdb.Store, call time.Duration) int {
	tasks, err := s.Claim(ctx, taskdb.Claim{Worker: "w", Max: 1 + rand.IntN(2)})
	if err != nil && !closing(err) {
		w.q.orphans.Store(true)
		w.await(ctx)
	}
	for _, task := range tasks {
		w.q.record(w.client, quarrelIn{id: task.ID, kind: "claim"}, quarrelOut{ok: true, attempt: task.Attempt}, call)
		w.held[task.ID] = task.Attempt
	}
	return len(tasks)
}

// closing reports whether a call was refused by a store that takes no more: it has
// not happened.
func closing(err error) bool {
	return fault.Is(err, fault.Unavailable) && strings.Contains(fault.As(err).Public, "is closing")
}

// await waits until the store answers: what is unknown could have happened at any
// time since, and too much of it is more than can be checked.
func (w *quarreller) await(ctx context.Context) {
	for ctx.Err() == nil {
		if _, err := w.q.Store().Get(ctx, ID(0)); err == nil {
			return
		}
	}
}

// quarrelState is what the model knows of a task.
type quarrelState struct {
	state   taskdb.State
	attempt int
	told    [taskdb.MaxFailures]int // attempts whose failures were told, the newest last; 0 for none
}

func (s quarrelState) holds(attempt int) bool {
	return s.state == taskdb.InProgress && s.attempt == attempt
}

func (s quarrelState) hasTold(attempt int) bool {
	return slices.Contains(s.told[:], attempt)
}

// quarrelModel is one task, with the rules as the contract has them. With orphans,
// a waiting task may have been claimed by somebody who never learnt of it.
func quarrelModel(orphans bool) porcupine.NondeterministicModel {
	return porcupine.NondeterministicModel{
		Partition: func(h []porcupine.Operation) [][]porcupine.Operation {
			byID := map[string][]porcupine.Operation{}
			for _, op := range h {
				id := op.Input.(quarrelIn).id
				byID[id] = append(byID[id], op)
			}
			var out [][]porcupine.Operation
			for _, ops := range byID {
				out = append(out, ops)
			}
			return out
		},
		Init: func() []any { return []any{quarrelState{state: taskdb.NotStarted}} },
		Step: func(state, input, output any) []any {
			st, in, out := state.(quarrelState), input.(quarrelIn), output.(quarrelOut)
			from := []quarrelState{st}
			if orphans && st.state == taskdb.NotStarted {
				lost := st
				lost.state, lost.attempt = taskdb.InProgress, st.attempt+1
				from = append(from, lost)
			}
			var to []any
			for _, s := range from {
				next, ok := s.after(in, out)
				if out.unknown {
					to = append(to, s)
				}
				if ok == out.ok || out.unknown && ok {
					to = append(to, next)
				}
			}
			return to
		},
		Equal: func(a, b any) bool { return a == b },
	}
}

// after is the state after a call, and whether it is carried out.
func (s quarrelState) after(in quarrelIn, out quarrelOut) (quarrelState, bool) {
	old := s
	ok := false
	switch in.kind {
	case "get":
		return s, s.state == out.state && s.attempt == out.attempt
	case "claim":
		ok = s.state == taskdb.NotStarted && out.attempt == s.attempt+1
		s.state, s.attempt = taskdb.InProgress, out.attempt
	case "renew":
		return s, s.holds(in.attempt)
	case "release":
		ok = s.holds(in.attempt)
		s.state = taskdb.NotStarted
	case "fail":
		if s.hasTold(in.attempt) {
			return s, true
		}
		ok = s.holds(in.attempt)
		s.state = taskdb.NotStarted
		copy(s.told[:], s.told[1:])
		s.told[len(s.told)-1] = in.attempt
	case "finish":
		ok = s.holds(in.attempt) || s.state == taskdb.Finished && s.attempt == in.attempt
		s.state = taskdb.Finished
	case "cancel":
		ok = s.state != taskdb.Finished && s.state != taskdb.Failed
		s.state = taskdb.Cancelled
	case "retry":
		ok = s.state == taskdb.NotStarted || s.state == taskdb.Cancelled || s.state == taskdb.Failed
		s.state = taskdb.NotStarted
	}
	if !ok {
		return old, false
	}
	return s, true
}
