package kvstore

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A leader that is cut off serves nothing as current once others may lead, and
// stale reads say for how long it has heard of nobody.
func TestClusterCutOffLeader(t *testing.T) {
	f := newFleet(t, 3, func(_ int, c *Config) { c.LeaderWait = 300 * time.Millisecond }).start()
	f.everywhere("k")
	old := f.leader()
	rest := []string{}
	for i := range f.size {
		if i != old {
			rest = append(rest, nodeName(i))
		}
	}
	r := f.nodes[old]
	f.wall.split([]string{nodeName(old)}, rest)
	require.ErrorIs(t, r.node.prove(t.Context()), ErrNoLeader, "nobody answers, whatever Raft still takes this node for")
	f.leaderBut(old)
	assert.False(t, r.node.cluster.rounds.trusted(time.Now()), "it was not trusted for as long as it takes to elect another")
	eventually(t, func() bool { return r.node.member.Load().raft.State() != raft.Leader })
	for _, target := range []string{"/v1/kv/k", "/v1/kv/k?consistent", "/v1/session/list"} {
		got := r.do("GET", target, nil)
		assert.Equal(t, http.StatusInternalServerError, got.status)
		assert.Equal(t, "No cluster leader", got.body)
	}
	assert.Equal(t, "No cluster leader", r.do("PUT", "/v1/kv/k", strings.NewReader("x")).body)
	eventually(t, func() bool {
		got := r.do("GET", "/v1/kv/k?stale&raw", nil)
		return got.body == "k" && got.header.Get("X-Consul-KnownLeader") == "false"
	})
	assert.Equal(t, `""`, r.do("GET", "/v1/status/leader", nil).body)
	assert.Equal(t, http.StatusServiceUnavailable, r.do("GET", "/readyz", nil).status)

	eventually(t, func() bool {
		other := f.nodes[f.leaderBut(old)]
		return other.do("PUT", "/v1/kv/k", strings.NewReader("new")).body == "true"
	})
	f.wall.heal()
	eventually(t, func() bool { return r.do("GET", "/v1/kv/k?raw", nil).body == "new" })
	f.converge()
}

// leaderBut waits for a leader that is not the given node.
func (f *fleet) leaderBut(not int) int {
	f.t.Helper()
	found := -1
	eventually(f.t, func() bool {
		for i, r := range f.nodes {
			if i != not && r != nil && r.node.lead.isOpen() {
				found = i
			}
		}
		return found >= 0
	})
	return found
}

// X-Consul-LastContact counts up on a follower that hears of no leader, while
// one that follows is within a heartbeat of it.
func TestClusterLastContact(t *testing.T) {
	f := newFleet(t, 3, nil).start()
	f.everywhere("k")
	i := f.follower()
	contact := func() int {
		got := f.nodes[i].do("GET", "/v1/kv/k?stale", nil)
		n, err := strconv.Atoi(got.header.Get("X-Consul-LastContact"))
		require.NoError(t, err)
		return n
	}
	beat := int(f.config(i).heartbeat().Milliseconds())
	eventually(t, func() bool { return contact() <= 10*beat })
	f.wall.split([]string{nodeName(i)}, []string{nodeName((i + 1) % 3), nodeName((i + 2) % 3)})
	eventually(t, func() bool { return contact() > 5*beat })
	f.wall.heal()
	eventually(t, func() bool { return contact() <= beat })
}

// block on every node and mode, change on another node, and all wake.
func TestClusterBlockingQueries(t *testing.T) {
	f := newFleet(t, 3, steady).start()
	f.everywhere("dir/k")
	for _, mode := range []string{"", "&stale", "&consistent"} {
		index, err := strconv.ParseUint(f.nodes[0].do("GET", "/v1/kv/dir/?recurse", nil).header.Get("X-Consul-Index"), 10, 64)
		require.NoError(t, err)
		var answers []<-chan reply
		for _, r := range f.nodes {
			answers = append(answers, r.block("/v1/kv/dir/?recurse"+mode, index))
		}
		f.parked(3)
		key := "dir/new" + strings.TrimPrefix(mode, "&")
		f.nodes[f.follower()].put(key, "v")
		for _, a := range answers {
			got := <-a
			assert.Equal(t, http.StatusOK, got.status)
			next, err := strconv.ParseUint(got.header.Get("X-Consul-Index"), 10, 64)
			require.NoError(t, err)
			assert.Greater(t, next, index)
			assert.Contains(t, got.body, key)
		}
	}
	// The wait ends on a follower as on the leader.
	i := f.follower()
	begun := time.Now()
	got := f.nodes[i].do("GET", "/v1/kv/dir/k?wait=100ms&index="+f.nodes[i].do("GET", "/v1/kv/dir/k", nil).header.Get("X-Consul-Index"), nil)
	assert.Equal(t, http.StatusOK, got.status)
	assert.GreaterOrEqual(t, time.Since(begun), 100*time.Millisecond)
}

// parked waits until that many queries wait, on all nodes together.
func (f *fleet) parked(n int) {
	f.t.Helper()
	eventually(f.t, func() bool {
		waiting := 0
		for _, r := range f.nodes {
			if r == nil {
				continue
			}
			h := &r.node.fsm.kv
			h.mu.Lock()
			for _, tp := range h.prefixes {
				waiting += tp.waiters
			}
			for _, tp := range h.keys {
				waiting += tp.waiters
			}
			h.mu.Unlock()
		}
		return waiting == n
	})
}

// A query that waits on a follower outlives the leader, and is answered when the
// follower itself drains.
func TestClusterBlockingOutlivesLeader(t *testing.T) {
	f := newFleet(t, 3, nil).start()
	f.everywhere("k")
	l, i := f.leader(), f.follower()
	index, err := strconv.ParseUint(f.nodes[i].do("GET", "/v1/kv/k", nil).header.Get("X-Consul-Index"), 10, 64)
	require.NoError(t, err)
	answer := f.nodes[i].block("/v1/kv/k?raw", index)
	f.parked(1)
	f.stop(l)
	last := f.leader()
	f.parked(1)
	f.nodes[last].put("k", "new")
	assert.Equal(t, "new", (<-answer).body)

	f.begin(l)
	f.ready()
	i = f.follower()
	index, err = strconv.ParseUint(f.nodes[i].do("GET", "/v1/kv/k", nil).header.Get("X-Consul-Index"), 10, 64)
	require.NoError(t, err)
	answer = f.nodes[i].block("/v1/kv/k?raw", index)
	f.parked(1)
	f.stop(i)
	got := <-answer
	assert.Equal(t, http.StatusOK, got.status, "answered, not cut off")
	assert.Equal(t, "new", got.body)
}

// Sessions are renewed anywhere, live on across a change of leader with their
// whole TTL, and expire by the new leader's clock.
func TestClusterSessionsAcrossLeaders(t *testing.T) {
	var c clock
	f := newFleet(t, 3, nil)
	f.now = c.now
	f.start()
	const ttl = 10 * time.Second
	i := f.follower()
	home := f.nodes[i]
	kept, dropped := home.session("delete", ttl.String()), home.session("delete", ttl.String())
	for key, id := range map[string]string{"kept": kept, "dropped": dropped} {
		ok, _, err := home.client.KV().Acquire(&api.KVPair{Key: key, Session: id}, nil)
		require.NoError(t, err)
		require.True(t, ok)
	}
	sess, _, err := home.client.Session().Info(kept, nil)
	require.NoError(t, err)
	assert.Equal(t, nodeName(i), sess.Node, "it belongs to the node that was asked, not to the leader")

	passes := func(d time.Duration) {
		c.advance(d)
		for _, r := range f.nodes {
			if r != nil {
				r.node.deadlines.wake()
			}
		}
	}
	passes(ttl)
	f.stop(f.leader())
	now := f.nodes[f.leader()]
	took := c.now()
	// What has a leader answer is asked until it does: it may be lost meanwhile.
	status := func(key string) (status int) {
		eventually(t, func() bool {
			status = now.do("GET", "/v1/kv/"+key, nil).status
			return status != http.StatusInternalServerError
		})
		return status
	}
	renew := func() {
		eventually(t, func() bool { return home.do("PUT", "/v1/session/renew/"+kept, nil).status == http.StatusOK })
	}
	renew()
	passes(ttl)
	assert.Equal(t, http.StatusOK, status("dropped"), "its TTL began anew")
	eventually(t, func() bool {
		renew()
		passes(ttl / 20)
		return status("dropped") == http.StatusNotFound
	})
	assert.GreaterOrEqual(t, c.now().Sub(took), ttl)
	assert.Equal(t, http.StatusOK, status("kept"))
	eventually(t, func() bool {
		passes(ttl / 20)
		return status("kept") == http.StatusNotFound
	})
	got := f.nodes[f.follower()].do("PUT", "/v1/session/create", strings.NewReader(`{"Node":"nobody"}`))
	assert.Equal(t, http.StatusInternalServerError, got.status)
	assert.Contains(t, got.body, "Missing node registration")
}

// A request that was passed on once is not passed on again, and says that
// nothing was carried out.
func TestClusterForwardsOnce(t *testing.T) {
	f := newFleet(t, 3, steady).start()
	r := f.nodes[f.follower()]
	for _, method := range []string{"GET", "PUT"} {
		req, err := http.NewRequestWithContext(t.Context(), method, r.url+"/v1/kv/k", strings.NewReader("v"))
		require.NoError(t, err)
		req.Header.Set(headerForwarded, "n9")
		resp, err := r.http.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusInternalServerError, resp.StatusCode)
		assert.Equal(t, "1", resp.Header.Get("Imagemill-Not-Carried-Out"))
	}
	assert.Nil(t, f.nodes[f.leader()].get("k"))
}

// Everything goes through a follower as it would go to the leader: bytes of keys
// and values, refusals, sizes, transactions.
func TestClusterFollowerPassesEverything(t *testing.T) {
	f := newFleet(t, 3, steady).start()
	leader, follower := f.nodes[f.leader()], f.nodes[f.follower()]
	big := strings.Repeat("x", MaxValue)
	for _, tc := range []struct{ method, target, body string }{
		{"PUT", "/v1/kv/a%2Fb%00%ff//c%3f", "v"}, {"GET", "/v1/kv/a%2Fb%00%ff//c%3f?raw", ""},
		{"PUT", "/v1/kv/big", big}, {"GET", "/v1/kv/big?raw", ""}, {"PUT", "/v1/kv/big", big + "x"},
		{"PUT", "/v1/kv/huge", strings.Repeat("x", maxForwardBody+1)},
		{"PUT", "/v1/kv/k?cas=0", "1"}, {"PUT", "/v1/kv/k?cas=0", "2"}, {"PUT", "/v1/kv/k?cas=x", "2"},
		{"PUT", "/v1/kv/k?acquire=nobody", ""}, {"GET", "/v1/kv/none", ""}, {"GET", "/v1/kv/?keys&separator=/", ""},
		{"GET", "/v1/kv/k?stale&consistent", ""}, {"GET", "/v1/kv/k?index=x", ""}, {"GET", "/v1/kv/k?dc=elsewhere", ""},
		{"PUT", "/v1/txn", `[{"KV":{"Verb":"set","Key":"t","Value":"dg=="}}]`}, {"PUT", "/v1/txn", `[{"KV":{"Verb":"get","Key":"t"}}]`},
		{"PUT", "/v1/txn", `[{"KV":{"Verb":"get","Key":"none"}}]`}, {"PUT", "/v1/txn", `nonsense`},
		{"DELETE", "/v1/kv/k?cas=1", ""}, {"DELETE", "/v1/kv/?recurse", ""}, {"PUT", "/v1/session/renew/nobody", ""},
	} {
		var bodies [2]string
		for n, r := range []*running{follower, leader} {
			leader.do("DELETE", "/v1/kv/k", nil)
			if strings.Contains(tc.target, "cas=0") && tc.body == "2" {
				leader.put("k", "there")
			}
			got := r.do(tc.method, tc.target, strings.NewReader(tc.body))
			bodies[n] = fmt.Sprintf("%d %s %s", got.status, got.header.Get("Content-Type"), indexless(got.body))
		}
		assert.Equal(t, bodies[1], bodies[0], "%s %s", tc.method, tc.target)
	}
}

// indexless leaves out what differs from one write to the next.
func indexless(body string) string {
	before, rest, found := strings.Cut(body, `Index":`)
	if !found {
		return before
	}
	return before + indexless(strings.TrimLeft(rest, "0123456789"))
}
