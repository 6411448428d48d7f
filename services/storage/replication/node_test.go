package replication_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/internal/leaktest"
	"imagemill/internal/serve"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/mem"
	"imagemill/services/storage"
	"imagemill/services/storage/disk"
	"imagemill/services/storage/replication"
	"imagemill/services/storage/storagetest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// patience is how long what has to come may take: longer than the healer's pause.
const patience = 3 * time.Minute

// world is a registry with storage nodes around it.
type world struct {
	t   testing.TB
	reg *mem.Registry
	log bytes.Buffer
	mu  sync.Mutex
	cfg storage.Replication
	// now is every node's clock; nil for the machine's.
	now func() time.Time
	hc  *http.Client
	// wrap makes of a node's disk what the node uses; nil for the disk itself.
	wrap func(storage.Keeper) storage.Keeper
	// minFree is what the nodes that are started keep free on their disks, in bytes.
	minFree int64
}

func newWorld(t testing.TB) *world {
	t.Helper()
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(tr.CloseIdleConnections)
	w := &world{t: t, reg: mem.New(), cfg: storage.DefaultReplication(), hc: &http.Client{Transport: tr}}
	w.cfg.ReplicaWait = patience / 2 // a copy that comes late, comes
	t.Cleanup(func() {
		if t.Failed() {
			w.mu.Lock()
			defer w.mu.Unlock()
			t.Logf("log:\n%s", w.log.String())
		}
	})
	return w
}

// Write takes lines of the nodes' logs.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// node is a storage node that runs until stop.
type node struct {
	*replication.Node
	t       testing.TB
	dir     string
	disk    *disk.Store
	client  *storage.Client
	url     string
	metrics *prometheus.Registry
	stop    func()
	// withdraw takes the announcement back, and nothing else.
	withdraw func()
}

// start runs a node over a folder until the test ends, or stop is called.
func (w *world) start(dir string) *node {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(w, nil)).With("node", filepath.Base(dir))
	store, err := disk.Open(disk.Config{Dir: dir, MinFree: w.minFree}, disk.Deps{Log: log})
	require.NoError(w.t, err)
	var local storage.Keeper = store
	if w.wrap != nil {
		local = w.wrap(store)
	}
	name := fmt.Sprintf("storage-%s-%d", filepath.Base(dir), time.Now().UnixNano())
	metrics := prometheus.NewRegistry()
	n, err := replication.Open(w.cfg, replication.Deps{
		Log: log, Instance: name, Local: local, Registry: w.reg, Metrics: metrics, Now: w.now,
		Client: func(in discovery.Instance) *http.Client {
			tr := serve.Recognize(func(discovery.Instance) http.RoundTripper {
				return discovery.InstanceTransport(discovery.TransportConfig{})
			})(in)
			return &http.Client{Transport: tr}
		},
	})
	require.NoError(w.t, err)
	n.Patient(patience)
	cfg := storage.DefaultConfig()
	cfg.Serve.Listen, cfg.Serve.Linger, cfg.Serve.Grace = "127.0.0.1:0", 0, patience
	announced := make(chan string, 1)
	shown, withdraw := context.WithCancel(context.Background())
	svc, err := storage.New(cfg, storage.Deps{
		Log: log, Instance: name, Store: n, Routes: n.Routes, Tags: map[string]string{replication.Tag: n.Epoch()},
		Registry: telling{w.reg, announced, shown},
	})
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	nodeCtx, endNode := context.WithCancel(context.Background())
	served, ran := make(chan error, 1), make(chan error, 1)
	go func() { ran <- n.Run(nodeCtx) }()
	go func() { served <- svc.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			n.Drain()
			withdraw()
			cancel()
			require.NoError(w.t, <-served)
			endNode()
			require.NoError(w.t, <-ran)
			require.NoError(w.t, n.Close())
		})
	}
	w.t.Cleanup(stop)
	url := <-announced
	return &node{
		Node: n, t: w.t, dir: dir, disk: store, client: storage.NewClient(url, w.hc), url: url, metrics: metrics, stop: stop, withdraw: withdraw,
	}
}

// offline uses a node that is not running, nor reached by others.
func (w *world) offline(dir string, do func(n *replication.Node)) {
	w.t.Helper()
	store, err := disk.Open(disk.Config{Dir: dir}, disk.Deps{Log: testLog(w)})
	require.NoError(w.t, err)
	n, err := replication.Open(w.cfg, replication.Deps{Log: testLog(w), Instance: "offline", Local: store, Now: w.now})
	require.NoError(w.t, err)
	do(n)
	require.NoError(w.t, n.Close())
}

// telling says where an instance is announced, and withdraws it once shown is done.
type telling struct {
	discovery.Registry
	url   chan string
	shown context.Context
}

func (r telling) Announce(ctx context.Context, in discovery.Instance, announced func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(r.shown, cancel)()
	return r.Registry.Announce(ctx, in, func() {
		r.url <- in.URL
		if announced != nil {
			announced()
		}
	})
}

// pair starts two nodes that know each other.
func (w *world) pair() (a, b *node) {
	w.t.Helper()
	a, b = w.start(w.folder("a")), w.start(w.folder("b"))
	w.know(a, b)
	return a, b
}

func (w *world) folder(name string) string { return filepath.Join(w.t.TempDir(), name) }

// know waits until each node can make two copies.
func (w *world) know(nodes ...*node) {
	w.t.Helper()
	for i, n := range nodes {
		key := fmt.Sprintf("know-%d-%d", i, time.Now().UnixNano())
		require.Eventually(w.t, func() bool {
			_, err := n.Put(w.t.Context(), ref(key), bytes.NewReader(nil), storage.PutOptions{Replicas: len(nodes)})
			return err == nil
		}, patience, 5*time.Millisecond, "the nodes do not know each other")
		require.NoError(w.t, n.Delete(w.t.Context(), ref(key)))
	}
	for _, n := range nodes {
		n.eventually("nothing is left, nor counted later", func() bool {
			return len(n.keys()) == 0 && n.count("pulled_blobs_total") >= float64(len(nodes)-1)
		})
	}
}

func ref(key string) storage.Ref { return storage.Ref{State: storage.InProgress, Key: key} }

func (n *node) eventually(what string, cond func() bool) {
	n.t.Helper()
	require.Eventually(n.t, cond, patience, 2*time.Millisecond, "%s", what)
}

// keys lists what the node itself holds in InProgress.
func (n *node) keys() (keys []string) {
	n.t.Helper()
	require.NoError(n.t, n.disk.Walk(context.Background(), storage.InProgress, func(key string) error {
		keys = append(keys, key)
		return nil
	}))
	return keys
}

// holds tells whether the node itself has a blob with these bytes.
func (n *node) holds(key string, data []byte) bool {
	n.t.Helper()
	held, err := n.disk.Held(context.Background(), ref(key))
	return err == nil && held.SHA256 == storagetest.Digest(data)
}

func (n *node) put(key string, data []byte, replicas int) {
	n.t.Helper()
	require.NoError(n.t, n.try(key, data, replicas))
}

func (n *node) try(key string, data []byte, replicas int) error {
	_, err := n.client.Put(context.Background(), ref(key), bytes.NewReader(data), storage.PutOptions{Size: int64(len(data)), Replicas: replicas})
	return err
}

// read gets a blob over HTTP in full.
func (n *node) read(key string) ([]byte, error) {
	obj, err := n.client.Get(context.Background(), ref(key), storage.Whole())
	if err != nil {
		return nil, err
	}
	defer func() { _ = obj.Body.Close() }()
	return io.ReadAll(obj.Body)
}

// count reads a counter or gauge.
func (n *node) count(name string) float64 {
	n.t.Helper()
	families, err := n.metrics.Gather()
	require.NoError(n.t, err)
	for _, f := range families {
		if f.GetName() == "imagemill_storage_"+name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	require.Fail(n.t, "no metric", name)
	return 0
}

func requireKind(t testing.TB, kind fault.Kind, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, kind, fault.KindOf(err), "%v", err)
}

// The contract holds for a node alone, for one of two over HTTP, and for two of
// which each call asks the other one.
func TestContract(t *testing.T) {
	t.Run("Alone", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store { return newWorld(t).start(t.TempDir()) })
	})
	t.Run("ClientOfOneOfTwo", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			a, _ := newWorld(t).pair()
			return a.client
		})
	})
	t.Run("EachOfTwoInTurn", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			a, b := newWorld(t).pair()
			return &inTurn{nodes: [2]*node{a, b}}
		})
	})
}

// inTurn asks two nodes by turns, for two copies of each blob, and waits for a
// deletion to be everywhere, which nobody else does.
type inTurn struct {
	nodes [2]*node
	mu    sync.Mutex
	n     int
}

func (s *inTurn) next() (one, other *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return s.nodes[s.n%2], s.nodes[(s.n+1)%2]
}

func (s *inTurn) Put(ctx context.Context, ref storage.Ref, r io.Reader, opt storage.PutOptions) (storage.Info, error) {
	opt.Replicas = 2
	one, _ := s.next()
	return one.client.Put(ctx, ref, r, opt)
}

func (s *inTurn) Get(ctx context.Context, ref storage.Ref, span storage.Span) (storage.Object, error) {
	one, _ := s.next()
	return one.client.Get(ctx, ref, span)
}

func (s *inTurn) Stat(ctx context.Context, ref storage.Ref) (storage.Info, error) {
	one, _ := s.next()
	return one.client.Stat(ctx, ref)
}

func (s *inTurn) Delete(ctx context.Context, ref storage.Ref) error {
	one, other := s.next()
	if err := one.client.Delete(ctx, ref); err != nil {
		return err
	}
	marker := storage.Ref{State: storage.Finished, Key: fmt.Sprintf("deleted-%d", time.Now().UnixNano())}
	_, err := one.Put(ctx, marker, bytes.NewReader(nil), storage.PutOptions{Replicas: 2})
	if err == nil {
		err = other.disk.Delete(ctx, marker) // behind the node's back: the marker is of no more use
	}
	return err
}

func (s *inTurn) List(ctx context.Context, state storage.State, after string, limit int) (storage.Page, error) {
	one, _ := s.next()
	return one.client.List(ctx, state, after, limit)
}

// A Put with two copies returns when the other node has the blob.
func TestTwoCopies(t *testing.T) {
	a, b := newWorld(t).pair()
	for i, size := range []int{0, 10, 200_000, 3_000_000} {
		key, data := fmt.Sprintf("k%d", i), storagetest.Bytes(size, uint64(i))
		a.put(key, data, 2)
		require.True(t, b.holds(key, data))
		b.put("b"+key, data, 2)
		require.True(t, a.holds("b"+key, data))
	}
	require.EqualValues(t, 4+1, b.count("pulled_blobs_total"), "and one while they got to know each other")
}

// Too few nodes are known before the body is read; too few copies within the time
// are said, and the blob stays.
func TestTooFewCopies(t *testing.T) {
	w := newWorld(t)
	w.cfg.ReplicaWait = 500 * time.Millisecond
	a := w.start(w.folder("a"))
	read := false
	body := readerFunc(func([]byte) (int, error) { read = true; return 0, io.EOF })
	_, err := a.Put(t.Context(), ref("k"), body, storage.PutOptions{Size: -1, Replicas: 2})
	requireKind(t, fault.Unavailable, err)
	require.Equal(t, "2 copies are asked for, and 1 storage nodes are there", fault.As(err).Public)
	require.Positive(t, fault.As(err).RetryAfter)
	require.False(t, read)
	requireKind(t, fault.Unavailable, a.try("k", []byte("x"), 2))
	requireKind(t, fault.Invalid, a.try("k", []byte("x"), storage.MaxReplicas+1))
	require.Empty(t, a.keys())

	// A node that is announced and never asks for anything.
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		left <- w.reg.Announce(ctx, discovery.Instance{
			ID: "storage-deaf", Service: "storage", URL: "http://127.0.0.1:1", Tags: map[string]string{replication.Tag: "deaf"},
		}, nil)
	}()
	defer func() { leave(); require.NoError(t, <-left) }()
	a.eventually("the deaf one is known", func() bool { return a.count("peers") == 1 })
	err = a.try("k", []byte("x"), 2)
	requireKind(t, fault.Unavailable, err)
	require.Contains(t, fault.As(err).Public, "2 copies are asked for, and 1 are there after 500ms")
	require.True(t, a.holds("k", []byte("x")), "it stays")
	b := w.start(w.folder("b"))
	b.eventually("it is copied all the same", func() bool { return b.holds("k", []byte("x")) })
	a.eventually("a repeat succeeds", func() bool { return a.try("k", []byte("x"), 2) == nil })
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A Put that a node has in hand when it is asked to stop gets its copy, though the
// other one knows already that the node has withdrawn.
func TestAStoppingNodeEndsItsPuts(t *testing.T) {
	a, b := newWorld(t).pair()
	body, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := a.client.Put(context.Background(), ref("key"), body, storage.PutOptions{Size: 4, Replicas: 2})
		done <- err
	}()
	_, err := w.Write([]byte("da"))
	require.NoError(t, err)
	a.Drain()
	a.withdraw()
	b.eventually("it has left", func() bool { return b.count("peers") == 0 })
	_, err = w.Write([]byte("ta"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, <-done)
	require.True(t, b.holds("key", []byte("data")))
}

// What a dead node had written, a third one gets from the second; and what is
// fetched, is fetched once.
func TestThirdNodeGetsWhatTheDeadOneWrote(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	before := b.count("pulled_blobs_total")
	for i := range 50 {
		a.put(fmt.Sprintf("k%02d", i), storagetest.Bytes(i*1000, uint64(i)), 2)
	}
	a.stop()
	require.NoError(t, os.RemoveAll(a.dir))
	c := w.start(w.folder("c"))
	c.eventually("all is there", func() bool { return len(c.keys()) == 50 })
	for i := range 50 {
		require.True(t, c.holds(fmt.Sprintf("k%02d", i), storagetest.Bytes(i*1000, uint64(i))))
	}
	c.eventually("50 were fetched", func() bool { return c.count("pulled_blobs_total") >= 50 })
	require.EqualValues(t, 50, b.count("pulled_blobs_total")-before)
	c.put("new", []byte("x"), 2)
	require.True(t, b.holds("new", []byte("x")))
	require.EqualValues(t, 50, c.count("pulled_blobs_total"), "nothing comes back to where it came from")
}

// Three nodes that all write copy each blob to each other node once.
func TestNothingIsFetchedTwice(t *testing.T) {
	w := newWorld(t)
	nodes := []*node{w.start(w.folder("a")), w.start(w.folder("b")), w.start(w.folder("c"))}
	w.know(nodes...)
	before := make([]float64, 3)
	for i, n := range nodes {
		before[i] = n.count("pulled_blobs_total")
	}
	var all sync.WaitGroup
	for i, n := range nodes {
		all.Go(func() {
			for j := range 40 {
				n.put(fmt.Sprintf("n%d-%d", i, j), storagetest.Bytes(20_000, uint64(100*i+j)), 1+j%3)
			}
		})
	}
	all.Wait()
	for i, n := range nodes {
		n.eventually("all is everywhere", func() bool { return len(n.keys()) == 120 })
		n.eventually("80 came from others", func() bool { return n.count("pulled_blobs_total")-before[i] >= 80 })
	}
	for i, n := range nodes {
		require.EqualValues(t, 80, n.count("pulled_blobs_total")-before[i])
	}
}

func testLog(w *world) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
