package kvstore

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
)

// TestMain runs the tests, or a node, where the test binary was started as one.
func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		os.Exit(runChild(text))
	}
	leaktest.Main(m)
}

// running is one service under test.
type running struct {
	*Service
	t      testing.TB
	url    string
	client *api.Client
	http   *http.Client
	stop   func()
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// start runs a service until the test ends or stop is called.
func start(t testing.TB, cfg Config) *running {
	t.Helper()
	return startAt(t, cfg, nil)
}

// startAt is start with a clock of the test's.
func startAt(t testing.TB, cfg Config, now func() time.Time) *running {
	t.Helper()
	cfg.HTTP.Grace = time.Minute // a machine that stands still breaks nothing off
	s, err := New(cfg, Deps{Log: quiet(), Version: "test", Now: now})
	require.NoError(t, err)
	return run(t, s)
}

func run(t testing.TB, s *Service) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r := &running{Service: s, t: t}
	transport := &http.Transport{MaxIdleConns: 2000, MaxIdleConnsPerHost: 2000}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		transport.CloseIdleConnections()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(r.stop)
	eventually(t, func() bool { return s.URL() != "" && s.node.lead.isOpen() })
	r.url = s.URL()
	r.http = &http.Client{Transport: transport}
	var err error
	r.client, err = api.NewClient(&api.Config{Address: r.url, HttpClient: r.http})
	require.NoError(t, err)
	return r
}

// eventually polls a condition for up to two minutes.
func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("condition not met in two minutes")
		}
	}
}

// reply is what a raw request was answered with.
type reply struct {
	status int
	body   string
	header http.Header
}

// do sends a request whose path and query are used byte for byte.
func (r *running) do(method, target string, body io.Reader) reply {
	r.t.Helper()
	got, err := r.try(context.Background(), method, target, body)
	require.NoError(r.t, err)
	return got
}

func (r *running) try(ctx context.Context, method, target string, body io.Reader) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.url+target, body)
	if err != nil {
		return reply{}, err
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return reply{resp.StatusCode, string(b), resp.Header}, err
}

// put writes a key and gives its entry.
func (r *running) put(key, value string) *api.KVPair {
	r.t.Helper()
	r.insist(func() error {
		_, err := r.client.KV().Put(&api.KVPair{Key: key, Value: []byte(value)}, nil)
		return err
	})
	return r.get(key)
}

// insist has something succeed. On a machine with too much to do a cluster may lose
// its leader meanwhile, so there it is tried again.
func (r *running) insist(try func() error) {
	r.t.Helper()
	var err error
	eventually(r.t, func() bool {
		err = try()
		return err == nil || r.node.cluster == nil
	})
	require.NoError(r.t, err)
}

func (r *running) get(key string) *api.KVPair {
	r.t.Helper()
	p, _, err := r.client.KV().Get(key, nil)
	require.NoError(r.t, err)
	return p
}

// session begins a session without lock delay.
func (r *running) session(behavior, ttl string) string {
	r.t.Helper()
	var id string
	r.insist(func() (err error) {
		id, _, err = r.client.Session().CreateNoChecks(&api.SessionEntry{Behavior: behavior, TTL: ttl, LockDelay: time.Nanosecond}, nil)
		return err
	})
	return id
}
