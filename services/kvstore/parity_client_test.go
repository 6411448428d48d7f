package kvstore

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// transcript is what a client was told, line by line.
type transcript struct {
	mu    sync.Mutex
	lines []string
}

func (tr *transcript) say(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.lines = append(tr.lines, fmt.Sprintf(format, args...))
}

func (tr *transcript) pair(p *api.KVPair, meta *api.QueryMeta, err error) *api.KVPair {
	if p == nil {
		tr.say("no pair, X-Consul-Index: %d leader=%t err=%v", meta.LastIndex, meta.KnownLeader, err)
		return nil
	}
	tr.say(`pair %q=%q flags=%d locks=%d session=%q CreateIndex":%d ModifyIndex":%d X-Consul-Index: %d leader=%t contact=%s err=%v`, p.Key, p.Value,
		p.Flags, p.LockIndex, p.Session, p.CreateIndex, p.ModifyIndex, meta.LastIndex, meta.KnownLeader, meta.LastContact, err)
	return p
}

func (tr *transcript) session(e *api.SessionEntry, err error) {
	if e == nil {
		tr.say("no session err=%v", err)
		return
	}
	tr.say(`session %s name=%q node=%s delay=%s behavior=%s ttl=%s checks=%v %v CreateIndex":%d err=%v`,
		e.ID, e.Name, e.Node, e.LockDelay, e.Behavior, e.TTL, e.Checks, e.NodeChecks, e.CreateIndex, err)
}

func (tr *transcript) txn(ok bool, resp *api.TxnResponse, err error) {
	tr.say("txn %t err=%v", ok, err)
	if resp == nil {
		return
	}
	for _, e := range resp.Errors {
		tr.say("  error %d %s", e.OpIndex, e.What)
	}
	for _, r := range resp.Results {
		tr.say(`  result %q=%q locks=%d session=%s ModifyIndex":%d`, r.KV.Key, r.KV.Value, r.KV.LockIndex, r.KV.Session, r.KV.ModifyIndex)
	}
}

// TestParityClient carries out the same calls of Consul's own Go client on a real
// Consul and on this store: what the client is told must be the same.
func TestParityClient(t *testing.T) {
	for name, scene := range map[string]func(*testing.T, *api.Client, *transcript){
		"kv": kvScene, "session": sessionScene, "lock": lockScene, "lock contention": contentionScene,
		"semaphore": semaphoreScene, "txn": txnScene, "waiting": waitScene, "node": nodeScene,
	} {
		t.Run(name, func(t *testing.T) {
			real, own := bothSides(t)
			var lines [2][]string
			for i, s := range []*side{real, own} {
				tr := &transcript{}
				scene(t, s.api, tr)
				require.NotEmpty(t, tr.lines)
				var answers []answer
				for _, line := range tr.lines {
					answers = append(answers, answer{body: strings.ReplaceAll(line, s.url, "URL")})
				}
				lines[i] = ranked(answers)
			}
			require.Equal(t, lines[0], lines[1], "Consul and kvstore")
			t.Logf("%d answers compared", len(lines[0]))
		})
	}
}

func kvScene(_ *testing.T, c *api.Client, tr *transcript) {
	kv := c.KV()
	tr.pair(kv.Get("none", nil))
	for _, p := range []*api.KVPair{
		{Key: "a", Value: []byte("1")}, {Key: "a/b", Value: []byte("2"), Flags: 5}, {Key: "a/b/c"}, {Key: "é ?#%", Value: []byte("odd")},
		{Key: ""}, {Key: "/lead"}, {Key: "big", Value: make([]byte, MaxValue)}, {Key: "over", Value: make([]byte, MaxValue+1)},
	} {
		_, err := kv.Put(p, nil)
		tr.say("put %q err=%v", p.Key, err)
	}
	p := tr.pair(kv.Get("a/b", nil))
	tr.pair(kv.Get("é ?#%", &api.QueryOptions{RequireConsistent: true}))
	tr.pair(kv.Get("a", &api.QueryOptions{AllowStale: true}))
	for _, prefix := range []string{"", "a", "a/", "none", "é"} {
		list, meta, err := kv.List(prefix, nil)
		tr.say("list %q: %d X-Consul-Index: %d err=%v", prefix, len(list), meta.LastIndex, err)
		for _, sep := range []string{"", "/"} {
			keys, meta, err := kv.Keys(prefix, sep, nil)
			tr.say("keys %q %q: %v X-Consul-Index: %d err=%v", prefix, sep, keys, meta.LastIndex, err)
		}
	}
	for _, index := range []uint64{0, 1, p.ModifyIndex} {
		ok, _, err := kv.CAS(&api.KVPair{Key: "a/b", Value: []byte("3"), ModifyIndex: index}, nil)
		tr.say("cas %t err=%v", ok, err)
		ok, _, err = kv.DeleteCAS(&api.KVPair{Key: "a/b", ModifyIndex: index}, nil)
		tr.say("delete cas %t err=%v", ok, err)
	}
	for _, id := range []string{"", "nobody", "1de1a2c1-89c7-4bbf-8c8e-a2a6b1c8d0c5"} {
		ok, _, err := kv.Acquire(&api.KVPair{Key: "l", Session: id}, nil)
		tr.say("acquire %t err=%v", ok, err)
		ok, _, err = kv.Release(&api.KVPair{Key: "l", Session: id}, nil)
		tr.say("release %t err=%v", ok, err)
	}
	_, err := kv.Delete("a/b", nil)
	tr.say("delete err=%v", err)
	_, err = kv.DeleteTree("a", nil)
	tr.say("delete tree err=%v", err)
	tr.pair(kv.Get("a", nil))
	_, _, err = kv.Get("k", &api.QueryOptions{Datacenter: "elsewhere"})
	tr.say("elsewhere err=%v", err)
	_, _, err = kv.Get("k", &api.QueryOptions{AllowStale: true, RequireConsistent: true})
	tr.say("both modes err=%v", err)
}

func sessionScene(_ *testing.T, c *api.Client, tr *transcript) {
	ses := c.Session()
	for _, in := range []*api.SessionEntry{
		nil, {}, {Name: "n", TTL: "20s", Behavior: "delete", LockDelay: 3 * time.Second}, {TTL: "1ms"}, {TTL: "25h"}, {TTL: "x"}, {Behavior: "keep"},
		{Node: "elsewhere"}, {Checks: []string{"none"}}, {NodeChecks: []string{"serfHealth"}}, {LockDelay: time.Hour},
	} {
		for _, create := range []func(*api.SessionEntry, *api.WriteOptions) (string, *api.WriteMeta, error){ses.Create, ses.CreateNoChecks} {
			id, _, err := create(in, nil)
			tr.say("create %s err=%v", id, err)
			if err != nil {
				continue
			}
			e, _, err := ses.Info(id, nil)
			tr.session(e, err)
			e, _, err = ses.Renew(id, nil)
			tr.session(e, err)
			_, err = ses.Destroy(id, nil)
			tr.say("destroy err=%v", err)
			e, _, err = ses.Info(id, nil)
			tr.session(e, err)
			e, _, err = ses.Renew(id, nil)
			tr.session(e, err)
		}
	}
	id, _, err := ses.Create(&api.SessionEntry{Name: "listed"}, nil)
	tr.say("create %s err=%v", id, err)
	for _, node := range []string{"parity", "elsewhere"} {
		list, meta, err := ses.Node(node, nil)
		tr.say("node %s: %d X-Consul-Index: %d err=%v", node, len(list), meta.LastIndex, err)
	}
	list, meta, err := ses.List(nil)
	tr.say("list: %d X-Consul-Index: %d err=%v", len(list), meta.LastIndex, err)
	stop := make(chan struct{})
	close(stop)
	tr.say("renew periodically until told: %v", ses.RenewPeriodic("10s", id, nil, stop))
	tr.say("renew periodically what is gone: %v", ses.RenewPeriodic("20ms", id, nil, make(chan struct{})))
}

func lockScene(t *testing.T, c *api.Client, tr *transcript) {
	l, err := c.LockOpts(&api.LockOptions{Key: "dir/lock", Value: []byte("me"), SessionTTL: "60s", LockDelay: time.Millisecond})
	require.NoError(t, err)
	tr.say("unlock unheld: %v", l.Unlock())
	lost, err := l.Lock(nil)
	tr.say("lock: %v", err)
	_, err = l.Lock(nil)
	tr.say("lock again: %v", err)
	tr.pair(c.KV().Get("dir/lock", nil))
	tr.say("destroy held: %v", l.Destroy())
	tr.say("unlock: %v", l.Unlock())
	_, open := <-lost
	tr.say("told: %t", !open)
	tr.pair(c.KV().Get("dir/lock", nil))
	tr.say("destroy: %v", l.Destroy())
	tr.pair(c.KV().Get("dir/lock", nil))
	// A key that is no lock.
	_, err = c.KV().Put(&api.KVPair{Key: "plain", Flags: 1}, nil)
	require.NoError(t, err)
	l, err = c.LockKey("plain")
	require.NoError(t, err)
	_, err = l.Lock(nil)
	tr.say("lock what is none: %v", err)
	// A holder whose session ends is told.
	id, _, err := c.Session().Create(&api.SessionEntry{LockDelay: time.Millisecond}, nil)
	require.NoError(t, err)
	l, err = c.LockOpts(&api.LockOptions{Key: "lost", Session: id})
	require.NoError(t, err)
	lost, err = l.Lock(nil)
	tr.say("lock: %v", err)
	_, err = c.Session().Destroy(id, nil)
	require.NoError(t, err)
	select {
	case <-lost:
		tr.say("lost")
	case <-time.After(time.Minute):
		tr.say("not told")
	}
}

func contentionScene(t *testing.T, c *api.Client, tr *transcript) {
	lock := func(try bool) *api.Lock {
		l, err := c.LockOpts(&api.LockOptions{
			Key: "c", SessionTTL: "60s", LockDelay: time.Millisecond, LockTryOnce: try, LockWaitTime: 50 * time.Millisecond,
			MonitorRetries: 3,
		})
		require.NoError(t, err)
		return l
	}
	first, second, third := lock(false), lock(true), lock(false)
	_, err := first.Lock(nil)
	tr.say("first: %v", err)
	lost, err := second.Lock(nil)
	tr.say("second tries once: got=%t %v", lost != nil, err)
	got := make(chan error)
	go func() {
		_, err := third.Lock(nil)
		got <- err
	}()
	tr.say("destroy in use: %v", lock(false).Destroy())
	tr.say("first unlocks: %v", first.Unlock())
	tr.say("third gets it: %v", <-got)
	tr.say("destroy in use: %v", first.Destroy())
	tr.say("third unlocks: %v", third.Unlock())
	tr.say("destroy: %v", first.Destroy())
}

func semaphoreScene(t *testing.T, c *api.Client, tr *transcript) {
	slot := func(limit int, try bool) *api.Semaphore {
		s, err := c.SemaphoreOpts(&api.SemaphoreOptions{
			Prefix: "sem", Limit: limit, SessionTTL: "60s", SemaphoreTryOnce: try, SemaphoreWaitTime: 50 * time.Millisecond,
		})
		require.NoError(t, err)
		return s
	}
	one, two, three := slot(2, false), slot(2, false), slot(2, true)
	tr.say("release unheld: %v", one.Release())
	lost, err := one.Acquire(nil)
	tr.say("one: %v", err)
	_, err = two.Acquire(nil)
	tr.say("two: %v", err)
	_, err = one.Acquire(nil)
	tr.say("one again: %v", err)
	full, err := three.Acquire(nil)
	tr.say("three: got=%t %v", full != nil, err)
	_, err = slot(3, true).Acquire(nil)
	tr.say("another limit: %v", err)
	tr.say("destroy held: %v", one.Destroy())
	tr.say("release: %v", one.Release())
	_, open := <-lost
	tr.say("told: %t", !open)
	_, err = three.Acquire(nil)
	tr.say("three: %v", err)
	// The sessions of those that gave up end, and their keys with them, after the
	// client has returned; what stays is the lock and its two holders.
	require.Eventually(t, func() bool {
		keys, _, err := c.KV().Keys("sem", "", nil)
		return err == nil && len(keys) == 3
	}, time.Minute, 5*time.Millisecond)
	tr.say("destroy in use: %v", one.Destroy())
	tr.say("release: %v %v", two.Release(), three.Release())
	tr.say("destroy: %v", one.Destroy())
	keys, _, err := c.KV().Keys("sem", "", nil)
	tr.say("keys: %v %v", keys, err)
	_, err = c.KV().Put(&api.KVPair{Key: "no/.lock", Value: []byte("x")}, nil)
	require.NoError(t, err)
	bad, err := c.SemaphorePrefix("no", 1)
	require.NoError(t, err)
	_, err = bad.Acquire(nil)
	tr.say("acquire what is none: %v", err)
}

func txnScene(t *testing.T, c *api.Client, tr *transcript) {
	id, _, err := c.Session().Create(&api.SessionEntry{LockDelay: time.Nanosecond}, nil)
	require.NoError(t, err)
	do := func(ops ...*api.TxnOp) {
		ok, resp, _, err := c.Txn().Txn(ops, nil)
		tr.txn(ok, resp, err)
	}
	lock := kvOp(api.KVLock, "l", "mine")
	lock.KV.Session = id
	unlock := kvOp(api.KVUnlock, "l", "free")
	unlock.KV.Session = id
	do()
	do(kvOp(api.KVSet, "a", "1"), lock, kvOp(api.KVGet, "a", ""), kvOp(api.KVGetTree, "a", ""))
	do(kvOp(api.KVSet, "a", "2"), kvOp(api.KVGet, "none", ""))
	do(kvOp(api.KVGet, "a", ""))
	do(kvOp(api.KVGet, "a", ""), kvOp(api.KVGet, "none", ""), kvOp(api.KVCheckNotExists, "a", ""))
	do(unlock)
	do(unlock)
	do(kvOp(api.KVDeleteTree, "", ""), kvOp(api.KVCheckNotExists, "a", ""))
	do(kvOp(api.KVSet, "", "x"), kvOp(api.KVGet, "none", ""), kvOp(api.KVGet, "", ""))
	var many []*api.TxnOp
	for range 65 {
		many = append(many, kvOp(api.KVGet, "a", ""))
	}
	do(many...)
	ok, resp, meta, err := c.KV().Txn(api.KVTxnOps{{Verb: api.KVSet, Key: "kv", Value: []byte("1")}, {Verb: api.KVGet, Key: "kv"}}, nil)
	tr.say("kv txn %t %d %d leader=%t err=%v", ok, len(resp.Results), len(resp.Errors), meta.KnownLeader, err)
	ok, resp, meta, err = c.KV().Txn(api.KVTxnOps{{Verb: api.KVGet, Key: "none"}}, &api.QueryOptions{AllowStale: true})
	tr.say("kv txn %t %d %d leader=%t err=%v", ok, len(resp.Results), len(resp.Errors), meta.KnownLeader, err)
}

func waitScene(t *testing.T, c *api.Client, tr *transcript) {
	kv := c.KV()
	put := func(value string) {
		_, err := kv.Put(&api.KVPair{Key: "w", Value: []byte(value)}, nil)
		require.NoError(t, err)
	}
	put("0")
	p := tr.pair(kv.Get("w", nil))
	seen := make(chan struct{})
	go func() {
		defer close(seen)
		// Each answer names the index of the next: no change is missed.
		for index, last := p.ModifyIndex, "0"; last != "9"; {
			p, meta, err := kv.Get("w", &api.QueryOptions{WaitIndex: index, WaitTime: 10 * time.Second})
			if err != nil || p == nil || meta.LastIndex <= index {
				tr.say("a wait ended with %v %v", p, err)
				return
			}
			index, last = meta.LastIndex, string(p.Value)
		}
		tr.say("the last is seen")
	}()
	for i := range 10 {
		put(fmt.Sprint(i))
	}
	<-seen
	p, meta, err := kv.Get("w", nil)
	tr.pair(p, meta, err)
	p, meta, err = kv.Get("w", &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 50 * time.Millisecond})
	tr.pair(p, meta, err)
}

func nodeScene(t *testing.T, c *api.Client, tr *transcript) {
	leader, err := c.Status().Leader()
	tr.say("leader %t %v", leader != "", err)
	peers, err := c.Status().Peers()
	tr.say("peers %t %v", len(peers) == 1 && peers[0] == leader, err)
	name, err := c.Agent().NodeName()
	tr.say("name %s %v", name, err)
	members, err := c.Agent().Members(false)
	require.NoError(t, err)
	for _, m := range members {
		tr.say("member %s %s %d role=%s dc=%s", m.Name, m.Addr, m.Status, m.Tags["role"], m.Tags["dc"])
	}
	self, err := c.Agent().Self()
	require.NoError(t, err)
	for _, field := range []string{"Datacenter", "PrimaryDatacenter", "NodeName", "Server"} {
		tr.say("self %s %v", field, self["Config"][field])
	}
	for _, part := range []string{"Config", "DebugConfig", "Coord", "Member", "Stats", "Meta"} {
		_, ok := self[part]
		tr.say("self has %s: %t", part, ok)
	}
	var status api.StatusError
	_, _, err = c.KV().Get("", nil)
	assert.True(t, errors.As(err, &status))
	tr.say("status %d %q", status.Code, status.Body)
}
