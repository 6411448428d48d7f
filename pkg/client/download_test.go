package client_test

import (
	"bytes"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/client"
)

func content() []byte { return bytes.Repeat([]byte("0123456789"), 30_000) }

func TestDownloadGivesAllAndSaysWhatItWas(t *testing.T) {
	s, c := serve(t, picture(content(), -1))
	var out bytes.Buffer
	got, err := c.Download(t.Context(), id, "large", &out)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(content(), out.Bytes()))
	assert.Equal(t, client.Downloaded{ContentType: "image/png", Size: 300_000, SHA256: digest(content())}, got)
	assert.Equal(t, "id="+id+"&rendition=large", s.requests()[0].query)
}

func TestDownloadGoesOnWhereItBroke(t *testing.T) {
	s, c := serve(t, busy(503), picture(content(), 100_000), picture(content(), -1))
	var out bytes.Buffer
	_, err := c.Download(t.Context(), id, "", &out)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(content(), out.Bytes()), "every byte once")
	last := s.requests()[2].header
	assert.Equal(t, "bytes=100000-", last.Get("Range"))
	assert.Equal(t, `"`+digest(content())+`"`, last.Get("If-Range"))
}

func TestDownloadStartsAnewBeforeItsFirstByte(t *testing.T) {
	s, c := serve(t, picture(content(), 0), picture(content(), -1))
	var out bytes.Buffer
	_, err := c.Download(t.Context(), id, "", &out)
	require.NoError(t, err)
	assert.Equal(t, 300_000, out.Len())
	assert.Empty(t, s.requests()[1].header.Get("Range"))
}

func TestDownloadThatNeverEndsIsAnError(t *testing.T) {
	_, c := serve(t, picture(content(), 1000))
	var out bytes.Buffer
	_, err := c.Download(t.Context(), id, "", &out)
	require.ErrorContains(t, err, "read picture")
	assert.Equal(t, 3000, out.Len())
}

func TestDownloadIsNotContinuedWithAnotherPicture(t *testing.T) {
	_, c := serve(t, picture(content(), 1000), picture([]byte("another one"), -1))
	_, err := c.Download(t.Context(), id, "", &bytes.Buffer{})
	require.ErrorIs(t, err, client.ErrDamaged)
}

func TestDownloadNoticesWrongRange(t *testing.T) {
	_, c := serve(t, picture(content(), 1000), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"`+digest(content())+`"`)
		w.Header().Set("Content-Range", "bytes 0-299999/300000")
		w.WriteHeader(http.StatusPartialContent)
	})
	_, err := c.Download(t.Context(), id, "", &bytes.Buffer{})
	require.ErrorIs(t, err, client.ErrDamaged)
}

func TestDownloadNoticesDamage(t *testing.T) {
	for _, etag := range []string{`"` + digest([]byte("other")) + `"`, `""`, ``, `"short"`} {
		_, c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", etag)
			_, _ = w.Write([]byte("picture"))
		})
		_, err := c.Download(t.Context(), id, "", &bytes.Buffer{})
		require.ErrorIs(t, err, client.ErrDamaged, etag)
	}
}

type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

func TestAnErrorOfTheWriterIsNotRepeated(t *testing.T) {
	s, c := serve(t, picture(content(), -1))
	noRoom := errors.New("no room")
	_, err := c.Download(t.Context(), id, "", full{noRoom})
	require.ErrorIs(t, err, noRoom)
	assert.Len(t, s.requests(), 1)
}

func TestDownloadTooEarlyIsAConflict(t *testing.T) {
	s, c := serve(t, answer(http.StatusConflict, map[string]any{"type": "urn:imagemill:problem:conflict", "state": "in progress"}))
	_, err := c.Download(t.Context(), id, "", &bytes.Buffer{})
	var e *client.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "in progress", e.State)
	assert.False(t, e.Temporary())
	assert.Len(t, s.requests(), 1)
}
