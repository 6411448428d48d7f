package gossip_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/gossip"
)

// logbook is a log that can be read.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// count is how often a message was logged as a warning or worse.
func (l *logbook) count(msg string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), `"level":"WARN","msg":"`+msg)
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

func key(t *testing.T) string {
	b := make([]byte, 32)
	_, err := rand.Read(b)
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(b)
}

// keyed is a config with a key.
func keyed(key string, join ...string) gossip.Config {
	cfg := config(join...)
	cfg.Key = key
	return cfg
}

func TestMembersWithOneKeyFindEachOther(t *testing.T) {
	k := key(t)
	nodes := cluster(t, 3, options{cfg: keyed(k)})
	view := watch(t, nodes[2], "worker")
	announce(t, nodes[1], instance("worker", 1))
	eventually(t, patience, func() bool { return view.len() == 1 }, "the instance is seen")
	require.NoError(t, nodes[0].PutSetting(t.Context(), "a/b", "c", "ada"))
	for _, n := range nodes {
		assert.Equal(t, "c", watchSettings(t, n).await(t, "a/b"))
	}
}

// A member with another key is kept out, with or without settings, and each kind
// of its trouble is logged once, however often it tries.
func TestAnotherKeyIsKeptOut(t *testing.T) {
	inside, outside := &logbook{}, &logbook{}
	k := key(t)
	one := start(t, options{cfg: keyed(k), log: inside.logger()})
	two := start(t, options{cfg: keyed(k, one.address)})
	eventually(t, patience, everybody([]*node{one, two}, seeing(2)), "two are in")
	stranger := start(t, options{cfg: keyed(key(t), one.address), log: outside.logger()})
	plain := start(t, options{cfg: config(one.address)})
	announce(t, stranger, instance("worker", 1))
	announce(t, plain, instance("worker", 2))
	require.NoError(t, one.PutSetting(t.Context(), "secret", "value", ""))

	eventually(t, patience, func() bool { return inside.count("a message with another encryption key was refused") > 0 }, "it is logged")
	eventually(t, patience, func() bool { return outside.count("no member answers at the join addresses") > 0 }, "the stranger says so too")
	view := watch(t, one, "")
	for i := range 20 { // as many changes as the strangers' tries take
		require.NoError(t, two.PutSetting(t.Context(), "n", strings.Repeat("x", i), ""))
	}
	eventually(t, patience, func() bool { return view.len() == 0 }, "a set without the strangers' instances")
	assert.Equal(t, 1, stranger.Members())
	assert.Equal(t, 1, plain.Members())
	assert.Equal(t, 1, inside.count("a message with another encryption key was refused"))
	assert.Equal(t, 1, outside.count("no member answers at the join addresses"))
	generation, _ := stranger.Generation()
	assert.Zero(t, generation)
}

// Nobody gets the settings past the key, over the wire that carries them.
func TestSettingsNeedTheKey(t *testing.T) {
	n := start(t, options{cfg: keyed(key(t))})
	require.NoError(t, n.PutSetting(t.Context(), "secret", "value", ""))
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: settingsDialer}}
	resp, err := client.Do(request(t, n.address))
	if err == nil { // a TLS server tells plain HTTP off
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, http.StatusBadRequest, resp.StatusCode)
		assert.NotContains(t, string(body), "value")
	}

	open := start(t, options{cfg: config()})
	require.NoError(t, open.PutSetting(t.Context(), "public", "value", ""))
	resp, err = client.Do(request(t, open.address))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Contains(t, string(body), "value", "the test asks in the right way")
}

// settingsDialer opens a stream that carries settings.
func settingsDialer(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	_, err = conn.Write([]byte{0xE5})
	return conn, err
}

func request(t *testing.T, addr string) *http.Request {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/settings?generation=0", nil)
	require.NoError(t, err)
	return req
}

// Garbage at the port, in packets and streams, with and without what tells
// settings apart, and streams that say nothing, harm nobody.
func TestGarbageAtThePort(t *testing.T) {
	for name, k := range map[string]string{"open": "", "encrypted": key(t)} {
		t.Run(name, func(t *testing.T) {
			book := &logbook{}
			cfg := keyed(k)
			cfg.CallTimeout = 2 * time.Second // after which streams that say nothing are closed
			nodes := cluster(t, 2, options{cfg: cfg, log: book.logger()})
			eventually(t, patience, everybody(nodes, seeing(2)), "two know each other")
			for range 300 { // more streams that say nothing than may wait
				conn := dial(t, "tcp", nodes[0].address)
				t.Cleanup(func() { _ = conn.Close() })
			}
			for i := range 256 {
				garbage := make([]byte, 1+i*5)
				_, err := rand.Read(garbage)
				require.NoError(t, err)
				garbage[0] = byte(i)
				for _, network := range []string{"udp", "tcp"} {
					conn := dial(t, network, nodes[0].address)
					_, _ = conn.Write(garbage) // it may be refused meanwhile
					require.NoError(t, conn.Close())
				}
			}
			view := watch(t, nodes[1], "worker")
			announce(t, nodes[0], instance("worker", 1))
			eventually(t, patience, func() bool { return view.len() == 1 }, "the member works")
			eventually(t, patience, func() bool {
				return nodes[1].PutSetting(t.Context(), "a", "b", "") == nil
			}, "settings work")
			assert.Equal(t, "b", watchSettings(t, nodes[0]).await(t, "a"))
			assert.Less(t, book.count(""), 80, "a kind of trouble is logged once")
		})
	}
}

func dial(t *testing.T, network, addr string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), network, addr)
	require.NoError(t, err)
	return conn
}

// A document that no member writes is refused, wherever it comes from.
func TestMalformedSettingsAreRefused(t *testing.T) {
	n := start(t, options{cfg: config()})
	for what, doc := range map[string]any{
		"a digest of something else": map[string]any{"generation": 7, "origin": "x", "digest": "AAAA", "settings": map[string]any{"a": map[string]any{"value": "b"}}},
		"an impossible generation":   map[string]any{"generation": uint64(1) << 60, "origin": "x", "digest": "AAAA"},
		"a name that is none":        map[string]any{"generation": 7, "origin": "x", "digest": "AAAA", "settings": map[string]any{"../a": map[string]any{}}},
		"no object":                  "text",
	} {
		text, err := json.Marshal(doc)
		require.NoError(t, err)
		_, err = gossip.Parse(text)
		assert.Error(t, err, what)
	}
	require.NoError(t, n.PutSetting(t.Context(), "a", "b", ""))
}

func TestWhatIsTooLargeIsAnError(t *testing.T) {
	n := start(t, options{cfg: config()})
	large := instance("worker", 1)
	large.Tags = map[string]string{}
	for i := range 20 {
		large.Tags[strconv.Itoa(i)] = key(t)
	}
	err := n.Announce(t.Context(), large, func() { assert.Fail(t, "announced") })
	require.ErrorIs(t, err, discovery.ErrInvalidInstance)
	require.ErrorContains(t, err, "at most 480")
	// The one that fits is there all the same, and what does not is no harm to it.
	announce(t, n, instance("worker", 2))
	require.ErrorIs(t, n.Announce(t.Context(), large, nil), discovery.ErrInvalidInstance)
	view := watch(t, n, "worker")
	eventually(t, patience, func() bool { return view.len() == 1 }, "the small instance is seen")
}

func TestPackedInstances(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	var set []discovery.Instance
	for i, service := range []string{"taskdb", "storage", "imagemaster", "worker", "frontend"} {
		set = append(set, discovery.Instance{
			ID: service + "-019a4b3c-5d6e-7f80-9a1b-" + strings.Repeat("c0ffee123456", 1)[i:] + "abcdef"[:i], Service: service,
			URL: "http://192.168.17.23:" + []string{"43211", "41999", "40007", "35003", "8080"}[i], Version: "0.1.0+0123456789ab", Started: at,
			Tags: map[string]string{"zone": "eu-1"},
		})
	}
	tags, err := gossip.Pack(set)
	require.NoError(t, err)
	t.Logf("five services of one process take %d bytes", len(tags[gossip.TagKey]))
	got, err := gossip.Unpack(tags)
	require.NoError(t, err)
	require.Len(t, got, len(set))
	for i := range set {
		assert.True(t, set[i].Equal(got[i]), "%+v became %+v", set[i], got[i])
	}
	none, err := gossip.Unpack(map[string]string{"other": "x"})
	require.NoError(t, err)
	assert.Empty(t, none)
}

// FuzzUnpack reads what any member might write.
func FuzzUnpack(f *testing.F) {
	tags, err := gossip.Pack([]discovery.Instance{instance("worker", 1), instance("storage", 2)})
	require.NoError(f, err)
	f.Add([]byte(tags[gossip.TagKey]))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, blob []byte) {
		set, err := gossip.Unpack(map[string]string{gossip.TagKey: string(blob)})
		if err != nil {
			return
		}
		for _, in := range set {
			require.NoError(t, in.Validate())
		}
	})
}
