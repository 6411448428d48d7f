package taskdb_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/taskdb"
)

// What is reserved counts for those who ask meanwhile, and no longer once it is known
// what was handed out instead.
func TestLanesCountWhatIsReserved(t *testing.T) {
	var l taskdb.Lanes
	l.Took(taskdb.BatchShare-1, 0)
	require.Equal(t, 1, l.Reserve(1))
	require.Equal(t, 0, l.Reserve(1), "Batch has had its share")
	l.Release(1, 0)
	require.Equal(t, 0, l.Batch(1))
	l.Release(1, 1)
	require.Equal(t, 1, l.Batch(1), "it was not handed out")
	for range 100 { // Batch has none: its next task is due, and no more than that
		batch := l.Reserve(5)
		l.Release(5, batch)
		l.Took(5, 0)
	}
	require.Equal(t, 1, l.Batch(1))
	require.Equal(t, 1, l.Batch(2))
	l.Took(0, 100)
	require.Equal(t, 0, l.Batch(taskdb.BatchShare-1), "Interactive owes nothing for tasks that it had no use for")
}
