package consul_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/consul"
	"imagemill/pkg/discovery/consultest"
	"imagemill/pkg/discovery/discoverytest"
)

// TestRegistryOnRealConsul runs the suite over a real Consul. An outage is a
// break in the way to it, so that it keeps what it knows.
func TestRegistryOnRealConsul(t *testing.T) {
	consultest.Program(t)
	discoverytest.Run(t, func(t *testing.T) discoverytest.Harness {
		agent := consultest.Start(t)
		way := openWay(t, agent.URL)
		client, transport := realClient(t, agent.URL)
		t.Cleanup(transport.CloseIdleConnections)
		open := func(t *testing.T, ttl time.Duration) discovery.Registry {
			reg, err := consul.New(consul.Config{
				Address: way.srv.URL, TTL: ttl, Wait: 10 * time.Second, Rate: 1000,
				BackoffMin: 5 * time.Millisecond, BackoffMax: 50 * time.Millisecond,
				CallTimeout: 10 * time.Second, StopTimeout: time.Minute,
			}, consul.Deps{})
			require.NoError(t, err)
			t.Cleanup(reg.Close)
			return reg
		}
		return discoverytest.Harness{
			Open:  func(t *testing.T) discovery.Registry { return open(t, time.Hour) },
			Brief: func(t *testing.T) discovery.Registry { return open(t, 2*time.Second) },
			Forget: func(t *testing.T) {
				sessions, _, err := client.Session().List(nil)
				require.NoError(t, err)
				for _, s := range sessions {
					_, err := client.Session().Destroy(s.ID, nil)
					require.NoError(t, err)
				}
			},
			Outage: func(*testing.T) func() {
				way.cut()
				return func() { way.down.Store(false) }
			},
			Spoil: func(t *testing.T, service string) {
				_, err := client.KV().Put(&api.KVPair{Key: "services/" + service + "/junk", Value: []byte("{")}, nil)
				require.NoError(t, err)
			},
		}
	})
}

// TestSettingsOnRealConsul runs the suite of stores of settings over it.
func TestSettingsOnRealConsul(t *testing.T) {
	agent := consultest.Start(t)
	suites := 0
	discoverytest.RunSettings(t, func(t *testing.T) discoverytest.SettingsHarness {
		suites++
		folder := fmt.Sprintf("config-%d", suites)
		client, transport := realClient(t, agent.URL)
		t.Cleanup(transport.CloseIdleConnections)
		put := func(t *testing.T, key, value string) {
			_, err := client.KV().Put(&api.KVPair{Key: key, Value: []byte(value)}, nil)
			require.NoError(t, err)
		}
		return discoverytest.SettingsHarness{
			Open: func(t *testing.T) discovery.SettingsStore {
				reg, err := consul.New(consul.Config{Address: agent.URL, Settings: folder, Rate: 1000}, consul.Deps{})
				require.NoError(t, err)
				t.Cleanup(reg.Close)
				return reg
			},
			Foreign: func(t *testing.T, name, value string) { put(t, folder+"/"+name, value) },
			Spoil:   func(t *testing.T) { put(t, folder+"/a b", "x"); put(t, folder+"/@writer/gone", "x") },
		}
	})
}

// TestKilledOnRealConsul has an instance vanish without a word: Consul promises
// that it is gone within twice its TTL.
func TestKilledOnRealConsul(t *testing.T) {
	agent := consultest.Start(t)
	client, transport := realClient(t, agent.URL)
	t.Cleanup(transport.CloseIdleConnections)
	reg, err := consul.New(consul.Config{Address: agent.URL, Rate: 1000}, consul.Deps{})
	require.NoError(t, err)
	t.Cleanup(reg.Close)
	sets := reg.Watch(t.Context(), "store")
	sizes(t, sets, 0)
	const ttl = 5 * time.Second // long enough that a busy machine sees it come
	id, _, err := client.Session().CreateNoChecks(&api.SessionEntry{TTL: ttl.String(), Behavior: "delete", LockDelay: time.Millisecond}, nil)
	require.NoError(t, err)
	begun := time.Now()
	ok, _, err := client.KV().Acquire(&api.KVPair{Key: "services/store/a", Session: id, Value: []byte(
		`{"id":"a","service":"store","url":"http://127.0.0.1:1","started":"2026-01-02T03:04:05Z"}`)}, nil)
	require.NoError(t, err)
	require.True(t, ok)
	sizes(t, sets, 1)
	sizes(t, sets, 0)
	require.Less(t, time.Since(begun), 2*ttl+time.Second)
}

func realClient(t *testing.T, address string) (*api.Client, *http.Transport) {
	t.Helper()
	transport := &http.Transport{}
	client, err := api.NewClient(&api.Config{Address: address, HttpClient: &http.Client{Transport: transport}})
	require.NoError(t, err)
	return client, transport
}

// way is the way to a store, which can be cut.
type way struct {
	srv    *httptest.Server
	down   atomic.Bool
	broken atomic.Pointer[chan struct{}]
}

func openWay(t *testing.T, to string) *way {
	t.Helper()
	target, err := url.Parse(to)
	require.NoError(t, err)
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler)
		},
	}
	w := &way{}
	w.mend()
	w.srv = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		broken := *w.broken.Load()
		if w.down.Load() {
			panic(http.ErrAbortHandler)
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() {
			select {
			case <-broken:
				cancel()
			case <-ctx.Done():
			}
		}()
		// The body is read before, so that a cut leaves nobody reading.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r = r.WithContext(ctx)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		proxy.ServeHTTP(rw, r)
	}))
	w.srv.Start()
	t.Cleanup(func() {
		w.cut()
		w.srv.Close()
		transport.CloseIdleConnections()
	})
	return w
}

func (w *way) mend() {
	broken := make(chan struct{})
	w.broken.Store(&broken)
}

// cut breaks off all requests under way, and refuses new ones until down is
// reset.
func (w *way) cut() {
	if w.down.Swap(true) {
		return
	}
	broken := *w.broken.Load()
	w.mend()
	close(broken)
}
