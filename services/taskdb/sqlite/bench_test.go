package sqlite_test

import (
	"encoding/binary"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/sqlite"
	"imagemill/services/taskdb/taskdbtest"
)

// benchClients is how many callers write at once.
const benchClients = 64

func benchStore(b *testing.B) *sqlite.Store {
	b.Helper()
	return open(b, taskdbtest.Env{Config: taskdbtest.Config(), Now: time.Now})
}

// fresh gives a task with an ID in rising order, as imagemasters make them.
func fresh(n uint64) taskdb.NewTask {
	t := taskdbtest.New(0)
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], 0x0189_0000_0000_7000)
	binary.BigEndian.PutUint64(id[8:], 0x8000_0000_0000_0000|n)
	t.ID = id.String()
	return t
}

// fill creates n tasks, with all clients at once.
func fill(b *testing.B, s taskdb.Store, n int) {
	b.Helper()
	var next atomic.Uint64
	done := make(chan error, benchClients)
	for range benchClients {
		go func() {
			for i := next.Add(1); i <= uint64(n); i = next.Add(1) {
				if _, err := s.Create(b.Context(), fresh(i)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range benchClients {
		require.NoError(b, <-done)
	}
}

func BenchmarkClaim1k(b *testing.B) { benchmarkClaim(b, 1_000) }

func BenchmarkClaim1M(b *testing.B) { benchmarkClaim(b, 1_000_000) }

// benchmarkClaim claims one task and gives it back, with so many waiting.
func benchmarkClaim(b *testing.B, waiting int) {
	s := benchStore(b)
	fill(b, s, waiting)
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

func BenchmarkStats1M(b *testing.B) {
	s := benchStore(b)
	fill(b, s, 1_000_000)
	for b.Loop() {
		if _, err := s.Stats(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCreate is one lonely caller: about one sync of the disk.
func BenchmarkCreate(b *testing.B) {
	s := benchStore(b)
	n := uint64(0)
	for b.Loop() {
		n++
		if _, err := s.Create(b.Context(), fresh(n)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCreateClaimFinish takes tasks through their lives, with all clients
// at once: one iteration is one task.
func BenchmarkCreateClaimFinish(b *testing.B) {
	s := benchStore(b)
	var next atomic.Uint64
	r := taskdb.Result{Worker: "w", Engine: "imaging", Width: 64, Height: 64, Format: "png", Renditions: []taskdb.Rendition{
		{Name: "main", Format: "png", Blob: taskdb.Blob{Key: "k", Size: 99, SHA256: strings.Repeat("ab", 32)}},
	}}
	b.SetParallelism(benchClients / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Create(b.Context(), fresh(next.Add(1))); err != nil {
				b.Error(err)
				return
			}
			ts, err := s.Claim(b.Context(), taskdb.Claim{Worker: "w", Max: 1})
			if err != nil || len(ts) != 1 {
				b.Errorf("claimed %d, %v", len(ts), err)
				return
			}
			res := r
			res.Attempt = ts[0].Attempt
			if _, err := s.Finish(b.Context(), ts[0].ID, res); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}
