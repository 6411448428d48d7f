package consul_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/consul"
)

// rarely is for what must not wait for a renewal.
func rarely(c *consul.Config) { c.TTL = time.Hour }

func TestLossesAreSeenToAtOnce(t *testing.T) {
	for name, lose := range map[string]func(*fake){
		"a key deleted by hand":         func(f *fake) { f.remove("services/store/a") },
		"a key that was written over":   func(f *fake) { f.set("services/store/a", "{}") },
		"a session destroyed by hand":   func(f *fake) { f.forget() },
		"all wiped, and started anew":   func(f *fake) { restore := f.outage(); f.forget(); f.rewindIndex(); restore() },
		"a key deleted in an outage":    func(f *fake) { restore := f.outage(); f.remove("services/store/a"); restore() },
		"an index that began again low": func(f *fake) { f.rewindIndex(); f.remove("services/store/a") },
	} {
		t.Run(name, func(t *testing.T) {
			f := startFake(t)
			announce(t, t.Context(), open(t, f, rarely))
			require.Eventually(t, f.polled, time.Minute, time.Millisecond, "it rests")
			lose(f)
			require.Eventually(t, f.holds, time.Minute, time.Millisecond)
		})
	}
}

// holds tells whether the instance is announced by a session that lives.
func (f *fake) holds() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.keys["services/store/a"]
	return p != nil && f.sessions[p.Session] != nil && len(p.Value) > 10
}

func TestAcquireWhoseAnswerIsLostCounts(t *testing.T) {
	f := startFake(t)
	f.cut = 1
	ctx, cancel := context.WithCancel(t.Context())
	ended := announce(t, ctx, open(t, f, rarely)) // waits for announced to be called
	_, sessions, made, _ := f.look()
	assert.Equal(t, 1, made)
	assert.Equal(t, 1, sessions)
	cancel()
	<-ended
	_, sessions, _, _ = f.look()
	assert.Zero(t, sessions)
}

func TestWhoWritesOverTheKeyAllTheTimeCostsNoMoreThanTheRate(t *testing.T) {
	f := startFake(t)
	announce(t, t.Context(), open(t, f, rarely, func(c *consul.Config) { c.Rate = 5 }))
	started := time.Now()
	before := f.renewed()
	for i := 0; time.Since(started) < 300*time.Millisecond; i++ {
		f.set("services/store/a", fmt.Sprint(i))
	}
	assert.LessOrEqual(t, float64(f.renewed()-before), 5+5*time.Since(started).Seconds()+1)
}

// A registry that is stopped keeps its connections open and answers nothing.
func TestStoppedRegistryIsFoundOut(t *testing.T) {
	f := startFake(t)
	reg := open(t, f, func(c *consul.Config) {
		c.Wait, c.CallTimeout, c.TTL = 50*time.Millisecond, 50*time.Millisecond, time.Hour
	})
	sets := reg.Watch(t.Context(), "store")
	sizes(t, sets, 0)
	thaw := f.freeze()
	f.set("services/store/a", `{"id":"a","service":"store","url":"http://127.0.0.1:1"}`)
	// Connections that are parked are given up and made anew, more than once.
	before := f.conns.Load()
	require.Eventually(t, func() bool { return f.conns.Load() >= before+3 }, time.Minute, time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, reg.Announce(ctx, store, nil), "a stop does not hang on it")
	thaw()
	sizes(t, sets, 1)
}

func TestWithdrawalFromAStoppedRegistryEnds(t *testing.T) {
	f := startFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := announce(t, ctx, open(t, f, rarely, func(c *consul.Config) { c.StopTimeout = 20 * time.Millisecond }))
	thaw := f.freeze()
	defer thaw()
	cancel()
	<-ended
}

// nodesOf makes two nodes of one registry.
func nodesOf(t *testing.T) (*fake, []*httptest.Server) {
	f := startFake(t)
	second := httptest.NewServer(f.handler())
	t.Cleanup(func() { second.CloseClientConnections(); second.Close() })
	return f, []*httptest.Server{f.srv, second}
}

func TestAnotherNodeTakesOver(t *testing.T) {
	for first := range 2 { // whichever of them is begun with, one case is the other's
		f, nodes := nodesOf(t)
		reg := open(t, f, rarely, func(c *consul.Config) { c.Others = []string{nodes[1].URL} })
		announce(t, t.Context(), reg)
		sets := reg.Watch(t.Context(), "")
		sizes(t, sets, 1)
		nodes[first].CloseClientConnections()
		nodes[first].Config.SetKeepAlivesEnabled(false)
		_ = nodes[first].Listener.Close()
		f.set("services/store/b", `{"id":"b","service":"store","url":"http://127.0.0.1:2"}`)
		sizes(t, sets, 2)
		f.remove("services/store/a")
		require.Eventually(t, f.holds, time.Minute, time.Millisecond)
	}
}

// What is parked at a node that is stopped goes along when an announcement finds
// out, though its own time is far from over.
func TestParkedPollsLeaveAStoppedNode(t *testing.T) {
	frozen, well := startFake(t), startFake(t)
	well.set("services/store/a", `{"id":"a","service":"store","url":"http://127.0.0.1:1"}`)
	for range 2 {
		f := frozen
		reg := open(t, f, func(c *consul.Config) {
			c.Others, c.Wait, c.TTL, c.CallTimeout = []string{well.srv.URL}, time.Hour, 1500*time.Millisecond, 100*time.Millisecond
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			assert.NoError(t, reg.Announce(ctx, discovery.Instance{ID: "z", Service: "other", URL: "http://h:1"}, nil))
		}()
		sets := reg.Watch(t.Context(), "store")
		thaw := frozen.freeze()
		sizes(t, sets, 1)
		thaw()
		cancel()
		<-done
	}
}

// A node that is stopped is left early enough for another to renew the session.
func TestSessionOutlivesAStoppedNode(t *testing.T) {
	f := startFake(t)
	stopped := make(chan struct{})
	defer close(stopped)
	var victim atomic.Pointer[string] // the host of the node that is stopped
	var last atomic.Pointer[string]   // of the one that was asked last
	node := func() string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if at := victim.Load(); at != nil && *at == r.Host {
				select {
				case <-stopped:
				case <-r.Context().Done():
				}
				return
			}
			last.Store(&r.Host)
			rec := httptest.NewRecorder()
			f.handler().ServeHTTP(rec, r)
			if at := victim.Load(); at != nil && *at == r.Host {
				<-r.Context().Done() // what was parked is not answered either
				return
			}
			w.Header().Set("X-Consul-Index", rec.Header().Get("X-Consul-Index"))
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		}))
		t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
		return srv.URL
	}
	announce(t, t.Context(), open(t, f, func(c *consul.Config) {
		c.Address, c.Others = node(), []string{node()}
		c.TTL, c.CallTimeout = 3*time.Second, time.Minute
	}))
	require.Eventually(t, f.polled, time.Minute, time.Millisecond, "it rests")
	victim.Store(last.Load())
	before := f.renewed()
	require.Eventually(t, func() bool { return f.renewed() >= before+2 }, time.Minute, time.Millisecond)
	_, _, made, _ := f.look()
	assert.Equal(t, 1, made, "the session has never been lost")
}
