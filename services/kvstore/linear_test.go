//go:build unix

package kvstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
)

// regInput is one operation on a key. Every write writes a value of its own, so
// that a value stands for the index that compare-and-set compares.
type regInput struct {
	key, kind     string // "get", "put" or "cas"
	expect, value string
}

// regOutput is its outcome; unknown where a write may or may not have happened.
type regOutput struct {
	value       string
	ok, unknown bool
}

// register is the model of one key: "" is a key that does not exist.
func register() porcupine.Model {
	return porcupine.Model{
		Partition: func(h []porcupine.Operation) [][]porcupine.Operation {
			byKey := map[string][]porcupine.Operation{}
			for _, op := range h {
				key := op.Input.(regInput).key
				byKey[key] = append(byKey[key], op)
			}
			var out [][]porcupine.Operation
			for _, ops := range byKey {
				out = append(out, ops)
			}
			return out
		},
		Init: func() any { return "" },
		Step: func(state, input, output any) (bool, any) {
			in, out, st := input.(regInput), output.(regOutput), state.(string)
			switch {
			case in.kind == "get":
				return out.value == st, st
			case in.kind == "put":
				return true, in.value
			case st == in.expect:
				return out.ok || out.unknown, in.value
			default:
				return !out.ok || out.unknown, st
			}
		},
	}
}

// recorder makes a history with several clients.
type recorder struct {
	http   *http.Client
	token  string
	urls   []string
	reads  []string // the modes of reading, one of which is taken at random
	begun  time.Time
	nextID atomic.Int64

	mu      sync.Mutex
	history []porcupine.Operation
	unknown int
	acked   map[string]string // keys written once, with their value
}

// seen is what a client has last read of a key.
type seen struct {
	value string
	index uint64
}

// errNotDone marks a request that surely had no effect.
var errNotDone = errors.New("not carried out")

// send makes one request and reads the answer. errNotDone says that it had no
// effect; any other error leaves that open.
func (r *recorder) send(ctx context.Context, method, url, body string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 600*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, errNotDone
	}
	req.Header.Set("X-Consul-Token", r.token)
	resp, err := r.http.Do(req)
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return 0, nil, errNotDone
	}
	if err != nil {
		return 0, nil, err
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	switch {
	case err != nil:
		return 0, nil, err
	case resp.Header.Get(discovery.NotCarriedOutHeader) != "", string(b) == ErrNoLeader.Error():
		return 0, nil, errNotDone
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotFound:
		return 0, nil, fmt.Errorf("%s: %s", resp.Status, b)
	}
	return resp.StatusCode, b, nil
}

// operate makes one random operation and records it.
func (r *recorder) operate(ctx context.Context, client int, known map[string]seen) {
	in := regInput{key: fmt.Sprintf("reg/%d", rand.IntN(40)), value: fmt.Sprint(r.nextID.Add(1))}
	url := r.urls[rand.IntN(len(r.urls))] + "/v1/kv/"
	last, ok := known[in.key]
	switch n := rand.IntN(20); {
	case n == 0:
		r.once(ctx, url, in.value)
		return
	case n < 10 || !ok:
		in.kind = "get"
	case n < 14:
		in.kind = "put"
	default:
		in.kind, in.expect = "cas", last.value
	}
	begun := time.Since(r.begun)
	var out regOutput
	var err error
	switch in.kind {
	case "get":
		var got seen
		got, err = r.get(ctx, url+in.key+"?"+r.reads[rand.IntN(len(r.reads))])
		out.value, known[in.key] = got.value, got
		if err != nil {
			delete(known, in.key)
			return // it has changed nothing
		}
	case "put":
		_, _, err = r.send(ctx, http.MethodPut, url+in.key, in.value)
	default:
		var b []byte
		_, b, err = r.send(ctx, http.MethodPut, fmt.Sprintf("%s%s?cas=%d", url, in.key, last.index), in.value)
		out.ok = string(b) == "true"
	}
	if errors.Is(err, errNotDone) {
		return
	}
	r.record(client, in, out, begun, err != nil)
}

// get reads a key.
func (r *recorder) get(ctx context.Context, url string) (seen, error) {
	status, b, err := r.send(ctx, http.MethodGet, url, "")
	if err != nil || status == http.StatusNotFound {
		return seen{}, err
	}
	var entries []Entry
	if err := json.Unmarshal(b, &entries); err != nil || len(entries) != 1 {
		return seen{}, fmt.Errorf("odd answer %q: %w", b, err)
	}
	return seen{string(entries[0].Value), entries[0].ModifyIndex}, nil
}

// once writes a key that nobody writes again.
func (r *recorder) once(ctx context.Context, url, value string) {
	_, b, err := r.send(ctx, http.MethodPut, url+"once/"+value, value)
	if err == nil && bytes.Equal(b, []byte("true")) {
		r.mu.Lock()
		r.acked["once/"+value] = value
		r.mu.Unlock()
	}
}

func (r *recorder) record(client int, in regInput, out regOutput, begun time.Duration, unknown bool) {
	op := porcupine.Operation{ClientId: client, Input: in, Call: int64(begun), Output: out, Return: int64(time.Since(r.begun))}
	r.mu.Lock()
	defer r.mu.Unlock()
	if unknown {
		// It may take effect at any time from now on, or never.
		out.unknown = true
		op.Output, op.Return = out, int64(24*time.Hour)
		r.unknown++
	}
	r.history = append(r.history, op)
}

func (r *recorder) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.history)
}

// work has clients operate until the history is long enough and ctx is done.
func (r *recorder) work(ctx context.Context, clients, enough int, pace time.Duration) {
	r.begun = time.Now()
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			tick := time.NewTicker(pace)
			defer tick.Stop()
			known := map[string]seen{}
			for ctx.Err() == nil || r.size() < enough {
				r.operate(context.WithoutCancel(ctx), c, known)
				<-tick.C
			}
		})
	}
	all.Wait()
}

func newRecorder(f *fleet, reads ...string) *recorder {
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	f.t.Cleanup(transport.CloseIdleConnections)
	r := &recorder{http: &http.Client{Transport: transport}, token: f.config(0).HTTP.Token, reads: reads, acked: map[string]string{}}
	for i := range f.size {
		r.urls = append(r.urls, "http://"+f.config(i).HTTP.Listen)
	}
	return r
}

// torment kills, pauses and cuts off nodes, one after the other, until ctx is
// done, and leaves all of them running. It gives how often it did what.
func (f *fleet) torment(ctx context.Context, nodes []*child) map[string]int {
	counts := map[string]int{}
	for ctx.Err() == nil {
		i, for_ := rand.IntN(f.size), time.Duration(300+rand.IntN(1200))*time.Millisecond
		if l := f.remoteLeader(); l >= 0 && rand.IntN(3) > 0 {
			i = l
		}
		kind := []string{"killed", "paused", "cut off"}[rand.IntN(3)]
		counts[kind]++
		switch kind {
		case "killed":
			nodes[i].kill()
			passes(for_)
			nodes[i] = f.spawn(i)
		case "paused":
			nodes[i].signal(f.t, syscall.SIGSTOP)
			passes(for_)
			nodes[i].signal(f.t, syscall.SIGCONT)
		default:
			line := nodeName(i) + "|" + nodeName((i+1)%3) + "," + nodeName((i+2)%3)
			for _, c := range nodes {
				c.network(line)
			}
			passes(for_)
			for _, c := range nodes {
				c.network("heal")
			}
		}
		passes(600 * time.Millisecond)
	}
	return counts
}

// passes lets trouble last.
func passes(d time.Duration) { <-time.After(d) }

// remoteLeader gives the node that names itself the leader, -1 for none.
func (f *fleet) remoteLeader() int {
	for i := range f.size {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		got, ok := f.ask(ctx, i, "/v1/status/leader")
		cancel()
		if ok && got == `"`+f.config(i).Cluster.RaftListen+`"` {
			return i
		}
	}
	return -1
}

// ask makes a GET to a node in another process.
func (f *fleet) ask(ctx context.Context, i int, target string) (string, bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.config(i).HTTP.Listen+target, nil)
	require.NoError(f.t, err)
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := tokened{transport, f.config(i).HTTP.Token}.RoundTrip(req)
	if err != nil {
		return "", false
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return string(b), err == nil && resp.StatusCode == http.StatusOK
}

// spawnAll starts all nodes as processes and waits until they are ready.
func (f *fleet) spawnAll() []*child {
	nodes := make([]*child, f.size)
	for i := range f.size {
		nodes[i] = f.spawn(i)
	}
	f.t.Cleanup(func() {
		for _, c := range nodes {
			c.kill()
		}
		f.showLogs()
	})
	f.remoteReady()
	return nodes
}

func (f *fleet) remoteReady() {
	f.t.Helper()
	for i := range f.size {
		eventually(f.t, func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_, ok := f.ask(ctx, i, "/readyz")
			return ok
		})
	}
}

// Eight clients read, write and compare-and-set on three nodes, each a process of
// its own, while these are killed, paused and cut off: what the clients saw could
// have happened on one node, one after the other, and nothing that was
// acknowledged is missing in the end.
func TestLinearizable(t *testing.T) {
	enough, lasts := 20_000, 20*time.Second
	if testing.Short() {
		enough, lasts = 3_000, 5*time.Second
	}
	f := newFleet(t, 3, func(_ int, c *Config) {
		c.RaftHeartbeat, c.Cluster.GossipProbe = 0, 200*time.Millisecond
		c.SnapshotThreshold, c.SnapshotInterval = 512, 200*time.Millisecond
	})
	nodes := f.spawnAll()
	r := newRecorder(f, "", "consistent")
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		r.work(ctx, 8, enough, 2*time.Millisecond)
	}()
	counts := map[string]int{}
	for !isClosed(worked) {
		part, done := context.WithTimeout(t.Context(), 3*time.Second)
		for kind, n := range f.torment(part, nodes) {
			counts[kind] += n
		}
		done()
	}
	f.remoteReady()
	// A read that was not answered, as there was no leader or no time, is made again.
	last := func(url string) (got seen, begun time.Duration) {
		eventually(t, func() bool {
			var err error
			begun = time.Since(r.begun)
			got, err = r.get(t.Context(), url)
			return err == nil
		})
		return got, begun
	}
	for _, url := range r.urls { // the last word of every node
		for n := range 40 {
			in := regInput{key: fmt.Sprintf("reg/%d", n), kind: "get"}
			got, begun := last(url + "/v1/kv/" + in.key)
			r.record(99, in, regOutput{value: got.value}, begun, false)
		}
		for key, value := range r.acked {
			got, _ := last(url + "/v1/kv/" + key)
			require.Equal(t, value, got.value, "acknowledged, and missing: %s", key)
		}
	}
	checked := time.Now()
	assert.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(register(), r.history, 3*time.Minute))
	t.Logf("%d operations, %d of them of unknown outcome, %d single writes, all there; nodes %v; checked in %s",
		len(r.history), r.unknown, len(r.acked), counts, time.Since(checked).Round(time.Millisecond))
	assert.GreaterOrEqual(t, len(r.history), enough)
}

// The same check finds reads that are not current, so it can fail.
func TestLinearizableFindsStaleReads(t *testing.T) {
	f := newFleet(t, 3, nil).start()
	r := newRecorder(f, "stale")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.work(ctx, 8, 2000, 100*time.Microsecond)
	assert.Equal(t, porcupine.Illegal, porcupine.CheckOperationsTimeout(register(), r.history, 3*time.Minute))
}
