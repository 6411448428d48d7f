package discovery

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// poolOf sees an instance at each URL.
func poolOf(urls ...string) *pool {
	cfg := TransportConfig{SetAside: time.Second, SetAsideMax: 3 * time.Second}.withDefaults()
	carrier := func(Instance) http.RoundTripper { return &http.Transport{} }
	p := newPool("store", cfg, carrier, slog.New(slog.DiscardHandler))
	var set []Instance
	for _, u := range urls {
		set = append(set, Instance{ID: u, Service: "store", URL: u})
	}
	p.update(set)
	return p
}

func TestSetAsideGrowsAndOneRequestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf("http://h:1", "http://h:2")
		v := p.view.Load()
		bad, good := v.members[0], v.members[1]
		boom := errors.New("boom")
		for _, aside := range []time.Duration{1, 2, 3, 3} {
			bad.failed(boom)
			bad.failed(boom) // together with the first: counts once
			assert.True(t, bad.aside(p.now()+aside*time.Second-1))
			assert.False(t, bad.aside(p.now()+aside*time.Second))
			assert.Same(t, good, v.pick(nil, p.now()))
			<-time.After(aside * time.Second) // of the bubble's clock
		}
		good.outstanding.Add(1)
		assert.Same(t, bad, v.pick(nil, p.now()), "its time is over")
		assert.Same(t, good, v.pick(nil, p.now()), "one probe is enough")
		bad.worked()
		assert.Same(t, bad, v.pick(nil, p.now()))
	})
}

func TestAllSetAsideIsNoReasonToFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf("http://h:1", "http://h:2")
		v := p.view.Load()
		v.members[1].failed(io.EOF)
		<-time.After(time.Millisecond) // of the bubble's clock
		v.members[0].failed(io.EOF)
		assert.Same(t, v.members[1], v.pick(nil, p.now()), "the one whose time ends first")
		assert.Same(t, v.members[0], v.pick(v.members[1:], p.now()))
		assert.Nil(t, v.pick(v.members, p.now()))
	})
}

func TestUpdateKeepsRecordsAndSkipsTheUnusable(t *testing.T) {
	p := poolOf("http://h:1", "http://h:2")
	before := p.view.Load()
	p.update([]Instance{
		{ID: "http://h:2", Service: "store", URL: "http://h:2", Version: "v2"},
		{ID: "x", Service: "store", URL: "h:3"},
	})
	now := p.view.Load()
	require.Len(t, now.members, 1)
	assert.Same(t, before.members[1], now.members[0])
	assert.Equal(t, "v2", now.instances[0].Version)
	<-before.changed
}

func replayBodyOf(t *testing.T, req *http.Request, window int) *replayBody {
	t.Helper()
	b, err := newReplayBody(req, window)
	require.NoError(t, err)
	require.IsType(t, (*replayBody)(nil), b)
	return b.(*replayBody)
}

func TestBodyBeginsAnew(t *testing.T) {
	open := func(window int, getBody bool) *replayBody {
		req, err := http.NewRequest("POST", "http://store/", strings.NewReader("hello"))
		require.NoError(t, err)
		req.ContentLength = -1 // one that tells its length is read whole
		if !getBody {
			req.GetBody = nil
		}
		return replayBodyOf(t, req, window)
	}
	for name, c := range map[string]struct {
		window  int
		getBody bool
		read    int
		again   bool
	}{
		"unread":           {0, false, 0, true},
		"within window":    {5, false, 5, true},
		"in part":          {64, false, 3, true},
		"beyond window":    {4, false, 5, false},
		"window off":       {-1, false, 1, false},
		"with GetBody":     {0, true, 5, true},
		"GetBody, in part": {0, true, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(c.window, c.getBody)
			first := b.attempt()
			_, err := io.ReadFull(first, make([]byte, c.read))
			require.NoError(t, err)
			next := b.rewind()
			require.Equal(t, c.again, next != nil)
			if next == nil {
				return
			}
			second := next.attempt()
			got, err := io.ReadAll(second)
			require.NoError(t, err)
			assert.Equal(t, "hello", string(got))
			if next == requestBody(b) {
				_, err = first.Read(make([]byte, 1))
				assert.ErrorIs(t, err, http.ErrBodyReadAfterClose, "the first attempt is cut off")
			}
		})
	}
}

func TestBodyBeingReadCannotBeCutOff(t *testing.T) {
	r, w := io.Pipe()
	req, err := http.NewRequest("POST", "http://store/", r)
	require.NoError(t, err)
	b := replayBodyOf(t, req, 64)
	a := b.attempt()
	read := make(chan error, 1)
	go func() { _, err := a.Read(make([]byte, 8)); read <- err }()
	require.Eventually(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.reading
	}, time.Minute, time.Millisecond)
	assert.Nil(t, b.rewind())
	require.NoError(t, w.Close())
	assert.ErrorIs(t, <-read, io.EOF)
	assert.NotNil(t, b.rewind())
}

func TestStaleConnectionIsNotHeldAgainstTheInstance(t *testing.T) {
	p := poolOf("http://h:1")
	m := p.view.Load().members[0]
	req, err := http.NewRequest("POST", "http://store/", nil)
	require.NoError(t, err)
	c, err := newCall(&Transport{cfg: p.cfg}, p, req)
	require.NoError(t, err)
	steps := &trail{}
	for _, step := range []interface{ Store(bool) }{&steps.asked, &steps.got, &steps.reused} {
		step.Store(true)
	}
	for range maxStale {
		assert.True(t, c.again(m, nil, io.EOF, steps))
		assert.False(t, m.aside(p.now()))
		assert.Empty(t, c.tried)
	}
	assert.True(t, c.again(m, nil, io.EOF, steps))
	assert.True(t, m.aside(p.now()), "that is too many")

	steps.headers.Store(true)
	assert.False(t, c.again(m, nil, io.EOF, steps), "it may have been carried out")
}

// watcher is an Observer that notes what it hears.
type watcher struct {
	joined, left []string
	dates        []string
	took         time.Duration
}

func (w *watcher) Joined(in Instance) { w.joined = append(w.joined, in.ID) }
func (w *watcher) Left(in Instance)   { w.left = append(w.left, in.ID) }
func (w *watcher) Answered(in Instance, h http.Header, took time.Duration) {
	w.dates, w.took = append(w.dates, in.ID+" "+h.Get("Date")), took
}

func TestAnObserverHearsOfInstancesAndAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{}
		carrier := roundTripper(func(r *http.Request) (*http.Response, error) {
			<-time.After(time.Second)
			return &http.Response{StatusCode: 200, Header: http.Header{"Date": {"today"}}, Body: http.NoBody, Request: r}, nil
		})
		tr := NewTransport(nil, TransportConfig{Services: []string{"store"}}, TransportDeps{
			Observer: w, PerInstance: func(Instance) http.RoundTripper { return carrier },
		})
		tr.pools["store"].update([]Instance{{ID: "a", URL: "http://h:1"}})
		tr.pools["store"].update([]Instance{{ID: "a", URL: "http://h:1"}}) // the same: no news
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://store/x", nil)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		tr.pools["store"].update(nil)
		require.Equal(t, &watcher{joined: []string{"a"}, left: []string{"a"}, dates: []string{"a today"}, took: time.Second}, w)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
