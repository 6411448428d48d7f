package imagemastertest

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
)

func uploads(t *testing.T, b *bench) {
	id := b.take(t, "original")
	info, err := b.Blobs.Stat(t.Context(), imagemaster.OriginalRef(id))
	require.NoError(t, err)
	task, err := b.Tasks.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, info.SHA256, task.Original.SHA256)
	require.JSONEq(t, Document, string(task.Pipeline))

	st, err := b.IsReady(t.Context(), id, 0)
	require.NoError(t, err)
	require.Equal(t, imagemaster.StateInProgress, st.State)
	require.Equal(t, imagemaster.Picture{ContentType: "image/png", Size: 8, SHA256: info.SHA256}, st.Original)
	require.NotEqual(t, id, b.take(t, "original"), "the same bytes again are a new image")
}

func wrongUploads(t *testing.T, b *bench) {
	for document, field := range map[string]string{
		`{`: "", `{"version":1,"renditions":[]}`: "renditions",
		`{"version":1,"renditions":[{"name":"a","format":"doc"}]}`: "renditions[0].format",
	} {
		_, err := b.NewImage(t.Context(), imagemaster.Upload{
			Pipeline: json.RawMessage(document), Size: 1, Body: strings.NewReader("x"),
		})
		requireKind(t, fault.Invalid, err)
		if field != "" {
			require.Equal(t, field, fault.As(err).Field)
		}
	}
	for _, size := range []int64{0, -1} {
		_, err := b.NewImage(t.Context(), imagemaster.Upload{
			Pipeline: json.RawMessage(Document), Size: size, Body: strings.NewReader(""),
		})
		requireKind(t, fault.Invalid, err)
		require.Contains(t, fault.As(err).Public, "empty")
	}
	require.Zero(t, b.blobs(t))
}

func brokenUpload(t *testing.T, b *bench) {
	for _, size := range []int64{100, -1} {
		_, err := b.NewImage(t.Context(), imagemaster.Upload{
			Pipeline: json.RawMessage(Document), Size: size, Body: broken{strings.NewReader("so far")},
		})
		require.ErrorIs(t, err, errSource)
	}
	require.Eventually(t, func() bool { return b.blobs(t) == 0 }, patience, tick)
}

func gets(t *testing.T, b *bench) {
	_, err := b.Get(t.Context(), "nonsense", "", storage.Whole())
	requireKind(t, fault.Invalid, err)
	_, err = b.IsReady(t.Context(), "nonsense", 0)
	requireKind(t, fault.Invalid, err)
	const unknown = "01890a5d-ac96-774b-bcce-b302099a8057"
	_, err = b.Get(t.Context(), unknown, "", storage.Whole())
	requireKind(t, fault.NotFound, err)
	_, err = b.IsReady(t.Context(), unknown, 0)
	requireKind(t, fault.NotFound, err)

	id := b.take(t, "original")
	_, err = b.Get(t.Context(), id, "", storage.Whole())
	requireKind(t, fault.Conflict, err)
	require.Equal(t, imagemaster.StateInProgress, fault.As(err).State)
	_, err = b.Tasks.Cancel(t.Context(), id)
	require.NoError(t, err)
	_, err = b.Get(t.Context(), id, "", storage.Whole())
	requireKind(t, fault.Conflict, err)
	require.Equal(t, imagemaster.StateCancelled, fault.As(err).State)

	id = b.finished(t)
	_, err = b.Get(t.Context(), id, "c", storage.Whole())
	requireKind(t, fault.NotFound, err)
	for name, want := range map[string]string{"": "rendition a", "a": "rendition a", "b": "rendition b"} {
		img, err := b.Get(t.Context(), id, name, storage.Whole())
		require.NoError(t, err)
		require.Equal(t, want, body(t, img))
		require.Equal(t, "image/png", img.ContentType)
		require.Equal(t, want, "rendition "+img.Name)
		require.Equal(t, "png", img.Format)
		require.Len(t, img.SHA256, 64)
	}
}

func ranges(t *testing.T, b *bench) {
	id := b.finished(t)
	for span, want := range map[storage.Span]string{
		storage.Whole():           "rendition a",
		{Offset: 0, Length: 4}:    "rend",
		{Offset: 10, Length: -1}:  "a",
		{Offset: 10, Length: 100}: "a",
		{Offset: -3}:              "n a",
	} {
		img, err := b.Get(t.Context(), id, "a", span)
		require.NoError(t, err)
		require.EqualValues(t, 11, img.Size)
		require.EqualValues(t, len(want), img.Length)
		require.Equal(t, want, body(t, img), "%+v", span)
	}
	_, err := b.Get(t.Context(), id, "a", storage.Span{Offset: 11, Length: 1})
	requireKind(t, fault.Range, err)
	_, err = b.Get(t.Context(), id, "a", storage.Span{})
	requireKind(t, fault.Invalid, err)
}

func body(t *testing.T, img imagemaster.Image) string {
	t.Helper()
	data, err := io.ReadAll(img.Body)
	require.NoError(t, err)
	require.NoError(t, img.Body.Close())
	return string(data)
}
