package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/client"
)

func TestStatusReadsEverything(t *testing.T) {
	s, c := serve(t, answer(http.StatusOK, map[string]any{
		"id": id, "state": "finished", "progress": 1, "attempts": 2, "failures": []string{"died"}, "created": "2026-01-02T03:04:05Z",
		"updated": "2026-01-02T03:04:06Z", "original": map[string]any{"contentType": "image/png", "size": 3},
		"renditions": []map[string]any{{"name": "default", "width": 8, "height": 6, "sha256": "ab", "url": "/x", "format": "png"}},
	}))
	st, err := c.Status(t.Context(), id)
	require.NoError(t, err)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	assert.Equal(t, client.Status{
		ID: id, State: client.Finished, Progress: 1, Attempts: 2, Failures: []string{"died"}, Created: at, Updated: at.Add(time.Second),
		Original:   client.Picture{ContentType: "image/png", Size: 3},
		Renditions: []client.Picture{{Name: "default", Width: 8, Height: 6, SHA256: "ab", URL: "/x", Format: "png"}},
	}, st)
	assert.Equal(t, "id="+id, s.requests()[0].query)
}

func TestWaitPollsUntilTheEnd(t *testing.T) {
	for _, end := range []string{client.Finished, client.Failed, client.Cancelled} {
		s, c := serve(t, state(client.InProgress), hangUp, busy(503), state(client.InProgress), state(end))
		st, err := c.Wait(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, end, st.State)
		assert.True(t, st.Ended())
		require.Len(t, s.requests(), 5)
		assert.Equal(t, "id="+id+"&wait=30s", s.requests()[0].query)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	_, c := serve(t, state(client.InProgress))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := c.Wait(ctx, id)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestWaitDoesNotHammerAServerThatAnswersEarly(t *testing.T) {
	s, _ := serve(t, state(client.InProgress))
	c, err := client.New(client.Config{URL: s.URL, Backoff: time.Hour, MaxPause: time.Hour})
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := c.Wait(ctx, id); ended <- err }()
	require.Eventually(t, func() bool { return len(s.requests()) > 0 }, time.Minute, time.Millisecond)
	<-time.After(50 * time.Millisecond) // in which it could ask again
	cancel()
	require.Error(t, <-ended)
	assert.Len(t, s.requests(), 1)
}

func TestUnknownImageIsAnErrorWithItsState(t *testing.T) {
	s, c := serve(t, answer(404, map[string]any{"type": "urn:imagemill:problem:not-found", "state": "not found", "id": id}))
	for _, call := range []func(context.Context, string) (client.Status, error){c.Status, c.Wait} {
		_, err := call(t.Context(), id)
		var e *client.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, "not found", e.State)
		assert.Equal(t, "not-found", e.Kind)
		assert.Equal(t, "Not Found", e.Detail, "without a detail or title, the status has to do")
		assert.Contains(t, err.Error(), id)
	}
	assert.Len(t, s.requests(), 2)
}

func TestAnswersOfOthersAreErrorsToo(t *testing.T) {
	_, c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "p-1")
		http.Error(w, "<html>", http.StatusForbidden)
	})
	_, err := c.Status(t.Context(), id)
	var e *client.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, &client.Error{Status: 403, Detail: "Forbidden", RequestID: "p-1"}, e)
	for _, step := range []http.HandlerFunc{answer(204, nil), answer(200, "text")} {
		_, c = serve(t, step)
		_, err = c.Status(t.Context(), id)
		require.Error(t, err)
	}
}

func TestRetryAfterIsKept(t *testing.T) {
	now := time.Now()
	for header, want := range map[string]time.Duration{
		"7": 7 * time.Second, "-1": 0, "soon": 0, "": 0, "99999999999": (1 << 30) * time.Second,
		now.Add(time.Hour).UTC().Format(http.TimeFormat):  time.Hour,
		now.Add(-time.Hour).UTC().Format(http.TimeFormat): 0,
	} {
		s, _ := serve(t, answer(503, nil, "Retry-After", header))
		c, err := client.New(client.Config{URL: s.URL, MaxPause: time.Millisecond, Retries: -1})
		require.NoError(t, err)
		_, err = c.Status(t.Context(), id)
		c.Close()
		var e *client.Error
		require.ErrorAs(t, err, &e)
		slack := 2 * time.Second // a date is in whole seconds
		if want == time.Hour {
			slack += time.Since(now)
		}
		assert.InDelta(t, want, e.RetryAfter, float64(slack), header)
	}
}

// The date that a server names is one of its own clock, which may be far off ours.
func TestADateInRetryAfterIsTakenByTheServersClock(t *testing.T) {
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	s, _ := serve(t, answer(503, nil, "Date", at.Format(http.TimeFormat), "Retry-After", at.Add(30*time.Second).Format(http.TimeFormat)))
	c, err := client.New(client.Config{URL: s.URL, MaxPause: time.Millisecond, Retries: -1})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Status(t.Context(), id)
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, 30*time.Second, e.RetryAfter)
}

func TestAPauseLongerThanAllowedIsNotWaitedFor(t *testing.T) {
	s, _ := serve(t, answer(503, nil, "Retry-After", "3600"))
	c, err := client.New(client.Config{URL: s.URL})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Status(t.Context(), id)
	assert.True(t, client.IsStatus(err, 503), err)
	assert.Len(t, s.requests(), 1)
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		server := carrier(func(r *http.Request) (*http.Response, error) {
			asked++
			w := httptest.NewRecorder()
			answer(503, nil, "Retry-After", "1")(w, r)
			return w.Result(), nil
		})
		c, err := client.New(client.Config{URL: "http://h", Backoff: time.Microsecond, HTTPClient: &http.Client{Transport: server}})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 999*time.Millisecond)
		defer cancel()
		_, err = c.Status(ctx, id)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.True(t, client.IsStatus(err, 503), "it says what it was waiting for: %v", err)
		assert.Equal(t, 1, asked)
	})
}

// carrier answers requests by a function.
type carrier func(*http.Request) (*http.Response, error)

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) { return c(r) }

func TestNobodyThere(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	c, err := client.New(client.Config{URL: srv.URL, Backoff: time.Microsecond})
	require.NoError(t, err)
	_, err = c.Status(t.Context(), id)
	require.ErrorContains(t, err, "call server")
}

func TestWrongConfigNamesTheSetting(t *testing.T) {
	for want, cfg := range map[string]client.Config{
		"URL":     {URL: "localhost:8080"},
		"URL: ":   {URL: "http://h/?q=1"},
		"URL: \"": {URL: ""},
		"parse":   {URL: "http://[::1"},
		"Backoff": {URL: "http://h", Backoff: -1},
		"Poll":    {URL: "http://h", Poll: time.Hour},
	} {
		_, err := client.New(cfg)
		assert.ErrorContains(t, err, want)
	}
}

func TestAPathInTheURLIsKept(t *testing.T) {
	s, _ := serve(t, state(client.Finished))
	c, err := client.New(client.Config{URL: s.URL + "/mill/"})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Status(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, "/mill/image/isReady", s.requests()[0].path)
	assert.Empty(t, s.requests()[0].auth)
}

func Example() {
	// A stand-in for imagemill, which is reached in the same way.
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/newImage":
			accepted(w, r)
		case "/image/isReady":
			state(client.Finished)(w, r)
		case "/image/get":
			picture([]byte("a smaller picture"), -1)(w, r)
		}
	}))
	defer srv.Close()
	ctx := context.Background()

	c, err := client.New(client.Config{URL: srv.URL})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	id, err := c.Upload(ctx, strings.NewReader("a picture"), -1, client.Options{Preset: "thumbnail"})
	if err != nil {
		panic(err) // nothing was taken in
	}
	st, err := c.Wait(ctx, id)
	if err != nil || st.State != client.Finished {
		panic(fmt.Sprint(err, st.Error))
	}
	var out strings.Builder
	got, err := c.Download(ctx, id, "", &out)
	fmt.Println(out.String(), got.Size, err)
	// Output: a smaller picture 17 <nil>
}
