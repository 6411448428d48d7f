package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/client"
)

var accepted = answer(http.StatusAccepted, map[string]string{"id": id})

// plain hides all methods but Read.
type plain struct{ io.Reader }

func TestUploadSendsPictureKeyAndOptions(t *testing.T) {
	s, c := serve(t, accepted)
	got, err := c.Upload(t.Context(), strings.NewReader("picture"), 7, client.Options{
		Query: url.Values{"width": {"8"}}, Preset: "p", Pipeline: []byte(`{"a":1}`), ContentType: "image/png",
	})
	require.NoError(t, err)
	assert.Equal(t, id, got)
	r := s.requests()[0]
	assert.Equal(t, "POST /newImage", r.method+" "+r.path)
	q, err := url.ParseQuery(r.query)
	require.NoError(t, err)
	assert.Equal(t, url.Values{"width": {"8"}, "preset": {"p"}, "pipeline": {`{"a":1}`}}, q)
	assert.Equal(t, "Bearer 0123456789abcdef", r.auth)
	assert.Equal(t, "image/png", r.header.Get("Content-Type"))
	assert.Equal(t, int64(7), r.length)
	assert.Equal(t, "picture", string(r.body))
}

func TestUploadSendsFromWhereTheReaderStands(t *testing.T) {
	s, c := serve(t, busy(http.StatusServiceUnavailable), accepted)
	body := strings.NewReader("skipped,picture")
	_, err := body.Seek(8, io.SeekStart)
	require.NoError(t, err)
	_, err = c.Upload(t.Context(), body, -1, client.Options{})
	require.NoError(t, err)
	require.Len(t, s.requests(), 2)
	for _, r := range s.requests() {
		assert.Equal(t, "picture", string(r.body))
	}
}

func TestUploadIsRepeatedOnlyWhenItCanBe(t *testing.T) {
	for name, step := range map[string]http.HandlerFunc{
		"connection": hangUp, "429": busy(429), "502": busy(502), "503": busy(503), "504": busy(504),
	} {
		t.Run(name, func(t *testing.T) {
			s, c := serve(t, step, step, accepted)
			got, err := c.Upload(t.Context(), strings.NewReader("picture"), 7, client.Options{})
			require.NoError(t, err)
			assert.Equal(t, id, got)
			assert.Len(t, s.requests(), 3)

			s, c = serve(t, step, accepted)
			_, err = c.Upload(t.Context(), plain{strings.NewReader("picture")}, 7, client.Options{})
			require.Error(t, err)
			assert.Len(t, s.requests(), 1, "a body that cannot be read again is sent once")
		})
	}
}

func TestUploadGivesUpAfterRetries(t *testing.T) {
	s, c := serve(t, busy(503))
	_, err := c.Upload(t.Context(), strings.NewReader("x"), 1, client.Options{})
	assert.True(t, client.IsStatus(err, 503), err)
	assert.Len(t, s.requests(), 3)
}

func TestRetriesBelowZeroMeanNever(t *testing.T) {
	s, _ := serve(t, busy(503))
	c, err := client.New(client.Config{URL: s.URL, Retries: -1})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Upload(t.Context(), strings.NewReader("x"), 1, client.Options{})
	assert.True(t, client.IsStatus(err, 503), err)
	assert.Len(t, s.requests(), 1)
}

func TestRefusalsAreNotRepeatedAndSayAll(t *testing.T) {
	s, c := serve(t, answer(http.StatusBadRequest, map[string]any{
		"type": "urn:imagemill:problem:invalid", "title": "Bad request", "status": 400, "detail": "is -5; allowed is 1 to 16384 pixels",
		"field": "width", "requestId": "r-1", "state": "s", "id": "i",
	}))
	_, err := c.Upload(t.Context(), strings.NewReader("x"), 1, client.Options{})
	var e *client.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, &client.Error{
		Status: 400, Kind: "invalid", Detail: "is -5; allowed is 1 to 16384 pixels", Field: "width", RequestID: "r-1", State: "s", ID: "i",
	}, e)
	assert.Equal(t, "imagemill answered 400: width: is -5; allowed is 1 to 16384 pixels (request r-1)", e.Error())
	assert.Len(t, s.requests(), 1)
}

func TestAnErrorOfThePictureIsNotTheServers(t *testing.T) {
	s, c := serve(t, accepted)
	broken := errors.New("disk gone")
	body := io.MultiReader(strings.NewReader("pic"), readerFunc(func([]byte) (int, error) { return 0, broken }))
	_, err := c.Upload(t.Context(), body, -1, client.Options{})
	require.ErrorIs(t, err, broken)
	assert.LessOrEqual(t, len(s.requests()), 1)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestLargeUploadIsRefusedBeforeItLeaves(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "100-continue", r.Header.Get("Expect"))
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}))
	defer srv.Close()
	c, err := client.New(client.Config{URL: srv.URL})
	require.NoError(t, err)
	defer c.Close()
	c.WaitToContinue()
	body := bytes.NewReader(make([]byte, 8<<20))
	_, err = c.Upload(t.Context(), body, -1, client.Options{})
	require.True(t, client.IsStatus(err, 413), err)
	assert.Equal(t, 8<<20, body.Len(), "no byte was read")
}

func TestEmptyUploadIsSentAsEmpty(t *testing.T) {
	s, c := serve(t, answer(http.StatusBadRequest, map[string]any{"detail": "the body is empty"}))
	_, err := c.Upload(t.Context(), strings.NewReader(""), -1, client.Options{})
	assert.True(t, client.IsStatus(err, 400), err)
	assert.Empty(t, s.requests()[0].body)
}

func TestAnswerWithoutAnIDIsNoSuccess(t *testing.T) {
	for _, body := range []any{map[string]string{}, "text"} {
		_, c := serve(t, answer(http.StatusAccepted, body))
		got, err := c.Upload(t.Context(), plain{strings.NewReader("x")}, 1, client.Options{})
		require.Error(t, err)
		assert.Empty(t, got)
	}
}

func TestCancelledUploadReturns(t *testing.T) {
	_, c := serve(t, accepted)
	ctx, cancel := context.WithCancel(t.Context())
	body := readerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	_, err := c.Upload(ctx, body, -1, client.Options{})
	require.ErrorIs(t, err, context.Canceled)
}

// The transport may still read when the answer is there; Upload returns when it
// has stopped, so that the caller can use the body again.
func TestSeekableBodyIsLeftAloneAfterwards(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer srv.Close()
	c, err := client.New(client.Config{URL: srv.URL, HTTPClient: srv.Client(), Backoff: time.Microsecond})
	require.NoError(t, err)
	body := bytes.NewReader(make([]byte, 4<<20))
	for range 20 {
		_, err = c.Upload(t.Context(), body, 4<<20, client.Options{})
		require.Error(t, err)
		_, err = body.Seek(0, io.SeekStart) // the race detector watches
		require.NoError(t, err)
	}
}

func TestRepeatedUploadsCarryTheSameKey(t *testing.T) {
	taken := answer(http.StatusAccepted, map[string]string{"id": id})
	s, c := serve(t, hangUp, busy(503), taken)
	_, err := c.Upload(t.Context(), strings.NewReader("picture"), -1, client.Options{})
	require.NoError(t, err)
	_, err = c.Upload(t.Context(), strings.NewReader("picture"), -1, client.Options{})
	require.NoError(t, err)
	_, err = c.Upload(t.Context(), strings.NewReader("picture"), -1, client.Options{IdempotencyKey: `mine \ "own"`})
	require.NoError(t, err)
	_, err = c.Upload(t.Context(), io.MultiReader(strings.NewReader("picture")), -1, client.Options{})
	require.NoError(t, err)
	var keys []string
	for _, a := range s.requests() {
		keys = append(keys, a.header.Get("Idempotency-Key"))
	}
	require.Len(t, keys, 6)
	require.Regexp(t, `^"[A-Z2-7]{26}"$`, keys[0])
	require.Equal(t, []string{keys[0], keys[0]}, keys[1:3])
	require.NotEqual(t, keys[0], keys[3], "each upload has its own")
	require.Equal(t, []string{`"mine \\ \"own\""`, ""}, keys[4:], "what is sent once needs none")
}

func TestUploadsSayHowLongTheyAreKept(t *testing.T) {
	s, c := serve(t, answer(http.StatusAccepted, map[string]string{"id": id}))
	when := time.Date(2030, 1, 2, 4, 4, 5, 0, time.FixedZone("there", 3600))
	for _, o := range []client.Options{{Keep: 90 * time.Minute}, {Expires: when}, {}} {
		_, err := c.Upload(t.Context(), strings.NewReader("picture"), -1, o)
		require.NoError(t, err)
	}
	var sent []string
	for _, a := range s.requests() {
		sent = append(sent, a.query)
	}
	require.Equal(t, []string{"expires=1h30m0s", "expires=2030-01-02T03%3A04%3A05Z", ""}, sent)
}

func TestUploadsSayWhetherTheirWorkMayBeSpared(t *testing.T) {
	s, c := serve(t, answer(http.StatusAccepted, map[string]string{"id": id}))
	for _, o := range []client.Options{{Dedupe: true}, {}} {
		_, err := c.Upload(t.Context(), strings.NewReader("picture"), -1, o)
		require.NoError(t, err)
	}
	got := s.requests()
	require.Len(t, got, 2)
	require.Equal(t, []string{"dedupe=true", ""}, []string{got[0].query, got[1].query})
}
