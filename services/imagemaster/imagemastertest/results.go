package imagemastertest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/taskdb"
)

// finisher is a master that takes several results at a time.
type finisher interface {
	AllFinished(ctx context.Context, all ...imagemaster.FinishedWork) []error
}

// resultsTogether has good and bad results side by side: each has its own outcome.
func resultsTogether(t *testing.T, b *bench) {
	f, ok := b.Master.(finisher)
	require.True(t, ok)
	var done []imagemaster.FinishedWork
	for range 4 {
		b.take(t, "original")
	}
	for range 4 {
		done = append(done, b.store(t, b.claim(t, "w")))
	}
	require.NoError(t, b.Tasks.Release(t.Context(), taskdb.Lease{ID: done[1].ID, Attempt: 1}))
	done[2].Result.Renditions[1].Key = done[0].Result.Renditions[1].Key
	done = append(done, imagemaster.FinishedWork{ID: done[0].ID})
	got := f.AllFinished(t.Context(), done...)
	require.Len(t, got, 5)
	require.NoError(t, got[0])
	requireKind(t, fault.Conflict, got[1])
	requireKind(t, fault.Invalid, got[2])
	require.Equal(t, "result.renditions[1].key", fault.As(got[2]).Field)
	require.NoError(t, got[3])
	requireKind(t, fault.Invalid, got[4])
	for i, state := range []taskdb.State{taskdb.Finished, taskdb.NotStarted, taskdb.InProgress, taskdb.Finished} {
		task, err := b.Tasks.Get(t.Context(), done[i].ID)
		require.NoError(t, err)
		require.Equal(t, state, task.State)
	}
	require.Equal(t, []error{nil, nil}, f.AllFinished(t.Context(), done[0], done[3]), "a repeat is safe")
	requireKind(t, fault.Invalid, f.AllFinished(t.Context(), done[2])[0])
}
