package imagemaster_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// workOn has a worker make one rendition of the image that was taken in last.
func (w *world) workOn(t *testing.T, content string) {
	t.Helper()
	work, err := w.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: 1})
	require.NoError(t, err)
	require.Len(t, work, 1)
	ref := imagemaster.RenditionRef(work[0].ID, work[0].Attempt, "default")
	info, err := w.blobs.Put(t.Context(), ref, strings.NewReader(content), storage.PutOptions{Size: int64(len(content))})
	require.NoError(t, err)
	require.NoError(t, w.WorkFinished(t.Context(), imagemaster.FinishedWork{ID: work[0].ID, Result: taskdb.Result{
		Attempt: work[0].Attempt, Worker: "w", Format: "png", Width: 1, Height: 1,
		Renditions: []taskdb.Rendition{{
			Name: "default", Format: "png", Width: 1, Height: 1,
			Blob: taskdb.Blob{Key: ref.Key, Size: info.Size, SHA256: info.SHA256, ContentType: "image/png"},
		}},
	}}))
}

func (w *world) download(ctx context.Context, id string) (string, error) {
	img, err := w.Get(ctx, id, "", storage.Whole())
	if err != nil {
		return "", err
	}
	defer func() { _ = img.Body.Close() }()
	content, err := io.ReadAll(img.Body)
	return string(content), err
}

// Most images are downloaded as soon as they are ready, so taskdb is not asked for
// what it has just been told; but only for that.
func TestWhatEndedOfLateIsNotAskedFor(t *testing.T) {
	w, asked := newWorld(t, nil), 0
	w.tasks.get = func(ctx context.Context, id string) (taskdb.Task, error) {
		asked++
		return w.tasks.Store.Get(ctx, id)
	}
	id := w.take(t)
	_, err := w.download(t.Context(), id)
	require.Equal(t, fault.Conflict, fault.KindOf(err), "in progress: %v", err)
	require.Equal(t, 1, asked, "what is in progress is asked for each time")
	w.workOn(t, "rendition")
	for range 3 {
		content, err := w.download(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "rendition", content)
	}
	require.Equal(t, 1, asked)
	w.clock.Advance(time.Minute)
	for range 3 {
		_, err := w.download(t.Context(), id)
		require.NoError(t, err)
	}
	require.Equal(t, 2, asked, "asked once more after a while, and then known again")
}

// An attempt that lost its lease has made nothing that may be downloaded.
func TestARefusedResultIsNotRemembered(t *testing.T) {
	w := newWorld(t, nil)
	id := w.take(t)
	work, err := w.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: 1})
	require.NoError(t, err)
	require.NoError(t, w.WorkReleased(t.Context(), taskdb.Lease{ID: id, Attempt: work[0].Attempt}))
	err = w.WorkFinished(t.Context(), imagemaster.FinishedWork{ID: id, Result: taskdb.Result{
		Attempt: work[0].Attempt, Worker: "w", Format: "png", Width: 1, Height: 1,
		Renditions: []taskdb.Rendition{{
			Name: "default", Format: "png", Width: 1, Height: 1,
			Blob: taskdb.Blob{Key: imagemaster.RenditionRef(id, work[0].Attempt, "default").Key, Size: 9, SHA256: strings.Repeat("0f", 32), ContentType: "image/png"},
		}},
	}})
	require.Equal(t, fault.Conflict, fault.KindOf(err), "%v", err)
	_, err = w.download(t.Context(), id)
	require.Equal(t, fault.Conflict, fault.KindOf(err), "%v", err)
}

// What this master has removed it does not go on looking for.
func TestARemovedImageIsNotRemembered(t *testing.T) {
	w := newWorld(t, nil)
	id := w.take(t)
	w.workOn(t, "rendition")
	_, err := w.download(t.Context(), id)
	require.NoError(t, err)
	require.NoError(t, w.Delete(t.Context(), "", id))
	_, err = w.download(t.Context(), id)
	require.Equal(t, fault.NotFound, fault.KindOf(err), "%v", err)
	require.ErrorContains(t, err, "task", "and not only its blob")
}
