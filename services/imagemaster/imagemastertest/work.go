package imagemastertest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/ability"
	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// tick is how often a polled condition is looked at.
const tick = time.Millisecond

func worksToTheEnd(t *testing.T, b *bench) {
	id := b.take(t, "original")
	w := b.claim(t, "w")
	require.Equal(t, id, w.ID)
	require.Equal(t, 1, w.Attempt)
	require.Positive(t, w.LeaseMillis)
	require.JSONEq(t, Document, string(w.Pipeline))

	require.NoError(t, b.WorkProgress(t.Context(), imagemaster.ProgressReport{ID: id, Attempt: 1, Progress: 0.5}))
	st, err := b.IsReady(t.Context(), id, 0)
	require.NoError(t, err)
	require.InDelta(t, 0.5, st.Progress, 0)
	require.Equal(t, imagemaster.StateInProgress, st.State)
	require.Nil(t, st.Facts)

	done := b.store(t, w)
	require.NoError(t, b.WorkFinished(t.Context(), done))
	require.NoError(t, b.WorkFinished(t.Context(), done), "a repeat is safe")
	st, err = b.IsReady(t.Context(), id, time.Hour)
	require.NoError(t, err)
	require.Equal(t, imagemaster.StateFinished, st.State)
	require.InDelta(t, 1, st.Progress, 0)
	require.Equal(t, 4, st.Original.Width)
	require.Len(t, st.Results, 2)
	require.Equal(t, "a", st.Results[0].Name)
	require.Equal(t, done.Result.Facts, st.Facts)
}

func lostAttempt(t *testing.T, b *bench) {
	id := b.take(t, "original")
	first := b.claim(t, "slow")
	require.NoError(t, b.Tasks.Release(t.Context(), taskdb.Lease{ID: id, Attempt: first.Attempt}))
	second := b.claim(t, "quick")
	require.Equal(t, 2, second.Attempt)
	late := []error{
		b.WorkProgress(t.Context(), imagemaster.ProgressReport{ID: id, Attempt: 1}),
		b.WorkFinished(t.Context(), b.store(t, first)),
		b.WorkFailed(t.Context(), imagemaster.FailedWork{ID: id, Attempt: 1, Reason: "late"}),
		b.WorkReleased(t.Context(), taskdb.Lease{ID: id, Attempt: 1}),
	}
	for _, err := range late {
		requireKind(t, fault.Conflict, err)
	}
	require.NoError(t, b.WorkFinished(t.Context(), b.store(t, second)))
	task, err := b.Tasks.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, 2, task.Result.Attempt)
}

func failures(t *testing.T, b *bench) {
	id := b.take(t, "original")
	w := b.claim(t, "w")
	f := imagemaster.FailedWork{ID: id, Attempt: w.Attempt, Worker: "w", Reason: "that is no image"}
	require.NoError(t, b.WorkFailed(t.Context(), f))
	require.NoError(t, b.WorkFailed(t.Context(), f), "a repeat is safe")
	st, err := b.IsReady(t.Context(), id, time.Hour)
	require.NoError(t, err)
	require.Equal(t, imagemaster.StateFailed, st.State)
	require.Equal(t, "that is no image", st.Error)
	require.Equal(t, []string{"that is no image"}, st.Failures)
	_, err = b.Get(t.Context(), id, "", storage.Whole())
	requireKind(t, fault.Unprocessable, err)
	require.Contains(t, fault.As(err).Public, "that is no image")
	require.Equal(t, imagemaster.StateFailed, fault.As(err).State)

	id = b.take(t, "another")
	w = b.claim(t, "w")
	require.NoError(t, b.WorkFailed(t.Context(), imagemaster.FailedWork{
		ID: id, Attempt: w.Attempt, Worker: "w", Reason: "the engine died", Retryable: true, Died: true,
	}))
	task, err := b.Tasks.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, taskdb.NotStarted, task.State)
	require.Equal(t, 1, task.Deaths)
}

func released(t *testing.T, b *bench) {
	id := b.take(t, "original")
	w := b.claim(t, "w")
	require.NoError(t, b.WorkReleased(t.Context(), taskdb.Lease{ID: id, Attempt: w.Attempt}))
	again := b.claim(t, "w2")
	require.Equal(t, id, again.ID)
	task, err := b.Tasks.Get(t.Context(), id)
	require.NoError(t, err)
	require.Zero(t, task.Tries)
}

func wrongReports(t *testing.T, b *bench) {
	id := b.take(t, "original")
	w := b.claim(t, "w")
	done := b.store(t, w)
	done.Result.Renditions[1].Key = imagemaster.RenditionRef(id, w.Attempt+1, "b").Key
	err := b.WorkFinished(t.Context(), done)
	requireKind(t, fault.Invalid, err)
	require.Equal(t, "result.renditions[1].key", fault.As(err).Field)
	done.Result.Renditions = nil
	requireKind(t, fault.Invalid, b.WorkFinished(t.Context(), done))
	requireKind(t, fault.Invalid, b.WorkFailed(t.Context(), imagemaster.FailedWork{ID: id, Attempt: w.Attempt}))
	const unknown = "01890a5d-ac96-774b-bcce-b302099a8057"
	requireKind(t, fault.NotFound, b.WorkProgress(t.Context(), imagemaster.ProgressReport{ID: unknown, Attempt: 1}))
}

func wrongClaims(t *testing.T, b *bench) {
	for field, r := range map[string]imagemaster.WorkRequest{
		"worker": {Max: 1}, "max": {Worker: "w", Max: taskdb.MaxClaim + 1},
	} {
		_, err := b.GetWork(t.Context(), r)
		requireKind(t, fault.Invalid, err)
		require.Equal(t, field, fault.As(err).Field)
	}
	_, err := b.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w"})
	requireKind(t, fault.Invalid, err)
	work, err := b.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: 1, Wait: -time.Second})
	require.NoError(t, err)
	require.Empty(t, work)
	work, err = b.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: 1, Wait: tick})
	require.NoError(t, err, "no work is no error")
	require.Empty(t, work)
}

func leftToOthers(t *testing.T, b *bench) {
	plain := ability.Reading(sniff.PNG) | ability.Writing(pipeline.PNG) | ability.Writing(pipeline.JPEG)
	rich := plain | ability.Writing(pipeline.WebP)
	ask := func(can ability.Set, wait time.Duration, others ...ability.Set) ([]imagemaster.Work, error) {
		return b.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: 5, Wait: wait, Can: can, Others: others})
	}
	webp := json.RawMessage(`{"version":1,"renditions":[{"name":"a","format":"webp"}]}`)
	upload := func() string {
		acc, err := b.NewImage(t.Context(), imagemaster.Upload{Pipeline: webp, ContentType: "image/png", Size: 1, Body: strings.NewReader("o")})
		require.NoError(t, err)
		return acc.ID
	}
	plainID, richID := b.take(t, "original"), upload()
	task, err := b.Tasks.Get(t.Context(), richID)
	require.NoError(t, err)
	require.Equal(t, ability.Reading(sniff.PNG)|ability.Writing(pipeline.WebP), ability.Set(task.Needs))
	work, err := ask(plain, 0, rich)
	require.NoError(t, err)
	require.Len(t, work, 1)
	require.Equal(t, plainID, work[0].ID)
	work, err = ask(plain, tick, rich)
	require.NoError(t, err)
	require.Empty(t, work)
	work, err = ask(rich, 0)
	require.NoError(t, err)
	require.Len(t, work, 1)
	require.Equal(t, richID, work[0].ID)

	// Who waits and cannot is not woken in the stead of who can.
	first := within(func() ([]imagemaster.Work, error) { return ask(plain, 20*tick, rich) })
	second := within(func() ([]imagemaster.Work, error) { return ask(rich, time.Hour, plain|1<<52) })
	id := upload()
	got := receive(t, second)
	require.NoError(t, got.err)
	require.Equal(t, id, got.v[0].ID)
	require.Empty(t, receive(t, first).v)
	_, err = ask(plain, 0, make([]ability.Set, taskdb.MaxOthers+1)...)
	requireKind(t, fault.Invalid, err)
}

func isReadyWakes(t *testing.T, b *bench) {
	id := b.take(t, "original")
	done := b.store(t, b.claim(t, "w"))
	waiting := within(func() (imagemaster.Status, error) { return b.IsReady(t.Context(), id, time.Hour) })
	require.NoError(t, b.WorkFinished(t.Context(), done))
	got := receive(t, waiting)
	require.NoError(t, got.err)
	require.Equal(t, imagemaster.StateFinished, got.v.State)
}

func isReadyEnds(t *testing.T, b *bench) {
	id := b.take(t, "original")
	for _, wait := range []time.Duration{-time.Second, 0, tick} {
		st, err := b.IsReady(t.Context(), id, wait)
		require.NoError(t, err)
		require.Equal(t, imagemaster.StateInProgress, st.State)
	}
}

func getWorkWakes(t *testing.T, b *bench) {
	waiting := within(func() ([]imagemaster.Work, error) {
		return b.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: 2, Wait: time.Hour})
	})
	b.Events.Publish(events.Event{Kind: events.Queued, TaskID: "none"}) // a false alarm changes nothing
	id := b.take(t, "original")
	got := receive(t, waiting)
	require.NoError(t, got.err)
	require.Len(t, got.v, 1)
	require.Equal(t, id, got.v[0].ID)
}

func leaves(t *testing.T, b *bench) {
	ctx, cancel := canceled(t)
	id := b.take(t, "original")
	w := b.claim(t, "w")
	waiting := within(func() ([]imagemaster.Work, error) {
		return b.GetWork(ctx, imagemaster.WorkRequest{Worker: "w", Max: 1, Wait: time.Hour})
	})
	cancel()
	got := receive(t, waiting)
	require.Empty(t, got.v)
	if got.err != nil {
		require.ErrorIs(t, got.err, context.Canceled)
	}
	require.NoError(t, b.WorkProgress(t.Context(), imagemaster.ProgressReport{ID: id, Attempt: w.Attempt}))
}
