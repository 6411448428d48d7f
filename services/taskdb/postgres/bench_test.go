//go:build unix

package postgres_test

import (
	"testing"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/taskdbtest"
)

func benchmarks(b *testing.B) taskdbtest.Benchmarks {
	return taskdbtest.Benchmarks{Open: func() taskdb.Store { return open(b, real()) }}
}

func BenchmarkClaim1k(b *testing.B) { benchmarks(b).Claim(b, 1_000) }

func BenchmarkClaim1M(b *testing.B) { benchmarks(b).Claim(b, 1_000_000) }

// BenchmarkRows is what a million tasks cost beside ten thousand.
func BenchmarkRows(b *testing.B) { benchmarks(b).Rows(b, 10_000, 1_000_000) }

// BenchmarkCreate is one lonely caller: about one sync of the disk.
func BenchmarkCreate(b *testing.B) { benchmarks(b).Create(b) }

// BenchmarkCreateClaimFinish takes tasks through their lives, with all clients
// at once: one iteration is one task.
func BenchmarkCreateClaimFinish(b *testing.B) { benchmarks(b).CreateClaimFinish(b, 1) }

// BenchmarkTwoProcesses does so with two stores on one database.
func BenchmarkTwoProcesses(b *testing.B) {
	database := measured.Database(b)
	opened := taskdbtest.Benchmarks{Open: func() taskdb.Store { return open(b, real(), database) }}
	opened.CreateClaimFinish(b, 2)
}
