package imagemastertest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/taskdb"
)

// bring uploads for an owner.
func (b *bench) bring(t *testing.T, change func(*imagemaster.Upload)) string {
	t.Helper()
	u := imagemaster.Upload{Pipeline: json.RawMessage(Document), ContentType: "image/png", Size: 4, Body: strings.NewReader("body")}
	change(&u)
	acc, err := b.NewImage(t.Context(), u)
	require.NoError(t, err)
	return acc.ID
}

func owned(owner string) func(*imagemaster.Upload) {
	return func(u *imagemaster.Upload) { u.Owner = owner }
}

// broken uploads for an owner what fails for good.
func (b *bench) broken(t *testing.T, owner string) string {
	t.Helper()
	id := b.bring(t, owned(owner))
	w := b.claim(t, "w")
	require.Equal(t, id, w.ID)
	require.NoError(t, b.WorkFailed(t.Context(), imagemaster.FailedWork{ID: id, Attempt: w.Attempt, Worker: "w", Reason: "not an image"}))
	return id
}

func queues(t *testing.T, b *bench) {
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	id := b.bring(t, func(u *imagemaster.Upload) { u.Lane, u.Owner, u.NotBefore = taskdb.Batch, "a", at })
	task, err := b.Tasks.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, taskdb.Batch, task.Lane)
	require.Equal(t, "a", task.Owner)
	require.Equal(t, at, task.NotBefore)
	st, err := b.IsReady(t.Context(), id, 0)
	require.NoError(t, err)
	require.Equal(t, imagemaster.StateInProgress, st.State)
	require.Equal(t, taskdb.Batch, st.Lane)
	require.Equal(t, at, st.NotBefore, "the user is told that nothing happens before")
	id = b.bring(t, func(u *imagemaster.Upload) { u.Delay = time.Hour })
	st, err = b.IsReady(t.Context(), id, 0)
	require.NoError(t, err)
	require.WithinDuration(t, at, st.NotBefore, patience)
	for field, wrong := range map[string]func(*imagemaster.Upload){
		"lane":      func(u *imagemaster.Upload) { u.Lane = "fast" },
		"notBefore": func(u *imagemaster.Upload) { u.NotBefore = time.Now().Add(2 * taskdb.MaxAhead) },
		"owner":     func(u *imagemaster.Upload) { u.Owner = strings.Repeat("x", taskdb.MaxOwner+1) },
	} {
		u := imagemaster.Upload{Pipeline: json.RawMessage(Document), ContentType: "image/png", Size: 1, Body: strings.NewReader("x")}
		wrong(&u)
		_, err := b.NewImage(t.Context(), u)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%s: %v", field, err)
		require.Equal(t, field, fault.As(err).Field)
	}
}

func cares(t *testing.T, b *bench) {
	ctx := t.Context()
	mine, others := b.broken(t, "a"), b.broken(t, "b")
	l, err := b.List(ctx, "a", imagemaster.StateFailed, "", 0)
	require.NoError(t, err)
	require.Len(t, l.Images, 1)
	require.Equal(t, mine, l.Images[0].ID)
	require.Equal(t, []string{"not an image"}, l.Images[0].Failures)
	l, err = b.List(ctx, "", imagemaster.StateFailed, "", 1)
	require.NoError(t, err)
	require.Len(t, l.Images, 1)
	require.Equal(t, mine, l.Next)
	for _, state := range []string{"", "in progress", "asleep"} {
		_, err = b.List(ctx, "", state, "", 0)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%v", err)
	}
	_, err = b.List(ctx, "", imagemaster.StateFailed, "", taskdb.MaxPage+1)
	require.Equal(t, fault.Invalid, fault.KindOf(err), "%v", err)

	for _, call := range []func() error{
		func() error { _, err := b.Retry(ctx, "a", others); return err },
		func() error { _, err := b.Cancel(ctx, "a", others); return err },
	} {
		require.Equal(t, fault.NotFound, fault.KindOf(call()), "another one's")
	}
	_, err = b.Cancel(ctx, "b", others)
	require.Equal(t, fault.Conflict, fault.KindOf(err), "%v", err)
	require.Equal(t, imagemaster.StateFailed, fault.As(err).State)
	_, err = b.Retry(ctx, "", "nonsense")
	require.Equal(t, fault.Invalid, fault.KindOf(err), "%v", err)

	st, err := b.Retry(ctx, "a", mine)
	require.NoError(t, err)
	require.Equal(t, imagemaster.StateInProgress, st.State)
	w := b.claim(t, "w")
	st, err = b.Cancel(ctx, "a", mine)
	require.NoError(t, err)
	require.Equal(t, imagemaster.StateCancelled, st.State)
	err = b.WorkProgress(ctx, imagemaster.ProgressReport{ID: mine, Attempt: w.Attempt, Progress: 0.5})
	require.Equal(t, fault.Conflict, fault.KindOf(err), "the worker is told at its next renewal: %v", err)
	st, err = b.IsReady(ctx, mine, 0)
	require.NoError(t, err)
	require.Equal(t, imagemaster.StateCancelled, st.State)

	r, err := b.RetryFailed(ctx, "a", "", 0)
	require.NoError(t, err)
	require.Zero(t, r)
	r, err = b.RetryFailed(ctx, "b", "", 5)
	require.NoError(t, err)
	require.Equal(t, taskdb.Retries{Retried: 1}, r)
	require.Equal(t, others, b.claim(t, "w").ID)
	_, err = b.RetryFailed(ctx, "", "", -1)
	require.Equal(t, fault.Invalid, fault.KindOf(err), "%v", err)
}
