package taskdbtest

import (
	"context"
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"imagemill/services/taskdb"
)

// benchClients is how many callers write at once.
const benchClients = 64

// Benchmarks are the same measurements of any store.
type Benchmarks struct {
	// Open gives a store; where it is called twice, both are of one database.
	Open func() taskdb.Store
}

// Fresh gives a task with an ID in rising order, as imagemasters make them.
func Fresh(n uint64) taskdb.NewTask {
	t := New(0)
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], 0x0189_0000_0000_7000)
	binary.BigEndian.PutUint64(id[8:], 0x8000_0000_0000_0000|n)
	t.ID = id.String()
	return t
}

// Fill creates n tasks, with all clients at once.
func Fill(t testing.TB, s taskdb.Store, n int) {
	t.Helper()
	FillOwned(t, s, n, func(uint64) string { return "" })
}

// FillOwned creates n tasks of owners, with all clients at once.
func FillOwned(t testing.TB, s taskdb.Store, n int, owner func(n uint64) string) {
	t.Helper()
	fill(t, s, n, func(i uint64, task *taskdb.NewTask) { task.Owner = owner(i) })
}

// fill creates n tasks after they were changed, with all clients at once.
func fill(t testing.TB, s taskdb.Store, n int, change func(i uint64, task *taskdb.NewTask)) {
	t.Helper()
	var next atomic.Uint64
	done := make(chan error, benchClients)
	for range benchClients {
		go func() {
			for i := next.Add(1); i <= uint64(n); i = next.Add(1) {
				task := Fresh(i)
				change(i, &task)
				if _, err := s.Create(context.Background(), task); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range benchClients {
		require.NoError(t, <-done)
	}
}

// Claim claims one task and gives it back, with so many waiting.
func (o Benchmarks) Claim(b *testing.B, waiting int) {
	s := o.Open()
	Fill(b, s, waiting)
	for b.Loop() {
		ts, err := s.Claim(b.Context(), taskdb.Claim{Worker: "w", Max: 1})
		if err != nil || len(ts) != 1 {
			b.Fatalf("claimed %d, %v", len(ts), err)
		}
		b.StopTimer()
		if err := s.Release(b.Context(), taskdb.Lease{ID: ts[0].ID, Attempt: ts[0].Attempt}); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// Rows compares what a claim, a page of a list, the statistics and one task cost with
// many tasks to what they cost with few, by turns; half of them have ended. The
// metrics are ratios of medians.
func (o Benchmarks) Rows(b *testing.B, few, many int) {
	ctx := b.Context()
	stores := []taskdb.Store{o.Open(), o.Open()}
	for i, n := range []int{few, many} {
		FillHalf(b, stores[i], n)
	}
	page := func(s taskdb.Store, state taskdb.State, after string) error {
		p, err := s.List(ctx, state, after, taskdb.MaxPage)
		if err == nil && len(p.Tasks) != taskdb.MaxPage {
			b.Fatalf("a page of %d", len(p.Tasks))
		}
		return err
	}
	var claimed taskdb.Task
	works := []struct {
		name string
		do   func(s taskdb.Store, n int) error
	}{
		{"claim", func(s taskdb.Store, _ int) error {
			ts, err := s.Claim(ctx, taskdb.Claim{Worker: "w", Max: 1})
			if err == nil {
				claimed = ts[0]
			}
			return err
		}},
		{"release", func(s taskdb.Store, _ int) error {
			return s.Release(ctx, taskdb.Lease{ID: claimed.ID, Attempt: claimed.Attempt})
		}},
		{"list", func(s taskdb.Store, n int) error { return page(s, taskdb.Finished, Fresh(uint64(n/2)).ID) }},
		{"stats", func(s taskdb.Store, _ int) error { _, err := s.Stats(ctx); return err }},
		{"get", func(s taskdb.Store, n int) error { _, err := s.Get(ctx, Fresh(uint64(n/2)).ID); return err }},
	}
	took := make([][2][]time.Duration, len(works))
	for range b.N {
		for i, n := range []int{few, many} {
			for w, work := range works {
				began := time.Now()
				require.NoError(b, work.do(stores[i], n))
				took[w][i] = append(took[w][i], time.Since(began))
			}
		}
	}
	for w, work := range works {
		for i := range stores {
			slices.Sort(took[w][i])
		}
		few, many := took[w][0][b.N/2], took[w][1][b.N/2]
		b.ReportMetric(many.Seconds()/few.Seconds(), work.name+"-x")
		b.ReportMetric(float64(many.Microseconds()), work.name+"-µs")
	}
}

// FillHalf creates n tasks, each second of them finished.
func FillHalf(t testing.TB, s taskdb.Store, n int) {
	t.Helper()
	fill(t, s, n, func(i uint64, task *taskdb.NewTask) {
		if i%2 == 0 {
			task.Dedupe, task.Result = true, &taskdb.Result{
				Attempt: 1, Worker: "w", EngineVersion: "imaging//1", Engine: "imaging", Width: 64, Height: 64, Format: "png",
				Renditions: []taskdb.Rendition{{
					Name: "main", Format: "png", Width: 64, Height: 64,
					Blob: taskdb.Blob{Key: task.ID + ".1.main", Size: 99, SHA256: strings.Repeat("ab", 32), ContentType: "image/png"},
				}},
			}
		}
	})
}

// Create is one lonely caller.
func (o Benchmarks) Create(b *testing.B) {
	s := o.Open()
	n := uint64(0)
	for b.Loop() {
		n++
		if _, err := s.Create(b.Context(), Fresh(n)); err != nil {
			b.Fatal(err)
		}
	}
}

// CreateClaimFinish takes tasks through their lives, with all clients at once, over
// so many stores: one iteration is one task.
func (o Benchmarks) CreateClaimFinish(b *testing.B, stores int) {
	all := make([]taskdb.Store, stores)
	for i := range all {
		all[i] = o.Open()
	}
	var next, client atomic.Uint64
	r := taskdb.Result{Worker: "w", Engine: "imaging", Width: 64, Height: 64, Format: "png", Renditions: []taskdb.Rendition{
		{Name: "main", Format: "png", Blob: taskdb.Blob{Key: "k", Size: 99, SHA256: strings.Repeat("ab", 32)}},
	}}
	b.SetParallelism(benchClients / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		s := all[client.Add(1)%uint64(len(all))]
		for pb.Next() {
			if err := life(b.Context(), s, Fresh(next.Add(1)), r); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}

// life creates a task, and claims and finishes one, which may be another's. What
// another process is about to take is passed over, so that a claim may come empty.
func life(ctx context.Context, s taskdb.Store, n taskdb.NewTask, r taskdb.Result) error {
	if _, err := s.Create(ctx, n); err != nil {
		return err
	}
	for {
		ts, err := s.Claim(ctx, taskdb.Claim{Worker: "w", Max: 1})
		if err != nil {
			return err
		}
		if len(ts) == 0 {
			continue
		}
		r.Attempt = ts[0].Attempt
		_, err = s.Finish(ctx, ts[0].ID, r)
		return err
	}
}
