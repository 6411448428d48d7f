package sqlite

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/taskdbtest"
)

// fill makes waiting tasks of so many owners, as creations leave them.
func fill(t testing.TB, s *Store, rows, owners int) {
	t.Helper()
	_, err := s.conn.ExecContext(t.Context(), `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
		INSERT INTO tasks (id, state, created, updated, blob_key, blob_size, blob_sha256, blob_type, pipeline, lane, owner, turn)
		SELECT printf('01890000-0000-7000-9000-%012x', i), 'notStarted', i, i, '', 1, '', '', '{}', 0, 'o' || (i % ?2), 1 + i / ?2
		FROM n`, rows, owners)
	require.NoError(t, err)
	_, err = s.conn.ExecContext(t.Context(), `UPDATE counts SET tasks = ?1 WHERE state = 'notStarted'`, rows)
	require.NoError(t, err)
}

func TestANewcomerDoesNotWaitForABacklog(t *testing.T) {
	s := openStore(t)
	rows := 50_000
	if testing.Short() {
		rows = 5000
	}
	fill(t, s, rows, 1)
	taskdbtest.Fair(t, s)
}

// BenchmarkClaimOwners claims with many waiting, of one owner and of a thousand.
func BenchmarkClaimOwners(b *testing.B) {
	for _, owners := range []int{1, 1000} {
		for _, rows := range []int{10_000, 1_000_000} {
			b.Run(fmt.Sprintf("owners=%d/rows=%d", owners, rows), func(b *testing.B) {
				s := openStore(b)
				fill(b, s, rows, owners)
				for b.Loop() {
					tasks, err := s.Claim(b.Context(), taskdb.Claim{Worker: "w", Max: 1})
					if err != nil || len(tasks) != 1 {
						b.Fatalf("claimed %d, %v", len(tasks), err)
					}
					b.StopTimer()
					if err := s.Release(b.Context(), taskdb.Lease{ID: tasks[0].ID, Attempt: tasks[0].Attempt}); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			})
		}
	}
}

// BenchmarkCreateOwners creates tasks of a thousand owners, each of whom has a
// thousand waiting.
func BenchmarkCreateOwners(b *testing.B) {
	s := openStore(b)
	fill(b, s, 1_000_000, 1000)
	n := 1_000_000
	for b.Loop() {
		task := newTask(n)
		task.Owner = fmt.Sprint("o", n%1000)
		if _, err := s.Create(b.Context(), task); err != nil {
			b.Fatal(err)
		}
		n++
	}
}
