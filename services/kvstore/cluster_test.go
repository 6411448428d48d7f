package kvstore

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Three fresh nodes find each other; whatever is written on one is read on all.
func TestClusterWritesAndReadsAnywhere(t *testing.T) {
	f := newFleet(t, 3, steady).start()
	for i, r := range f.nodes {
		key := fmt.Sprintf("k%d", i)
		got := r.do("PUT", "/v1/kv/"+key, strings.NewReader("v"))
		require.Equal(t, "true", got.body)
		for _, other := range f.nodes {
			for _, mode := range []string{"", "&consistent"} {
				got := other.do("GET", "/v1/kv/"+key+"?raw"+mode, nil)
				assert.Equal(t, "v", got.body)
				assert.Equal(t, "true", got.header.Get("X-Consul-KnownLeader"))
				assert.Equal(t, "0", got.header.Get("X-Consul-LastContact"))
			}
			eventually(t, func() bool { return other.do("GET", "/v1/kv/"+key+"?raw&stale", nil).body == "v" })
		}
	}
	f.voters("n0", "n1", "n2")
	var leader string
	for _, r := range f.nodes {
		l, err := r.client.Status().Leader()
		require.NoError(t, err)
		require.NotEmpty(t, l)
		if leader == "" {
			leader = l
		}
		assert.Equal(t, leader, l, "all name the same leader")
		peers, err := r.client.Status().Peers()
		require.NoError(t, err)
		assert.Len(t, peers, 3)
		assert.Contains(t, peers, leader)
		eventually(t, func() bool {
			members, err := r.client.Agent().Members(false)
			require.NoError(t, err)
			return len(members) == 3
		})
		assert.Equal(t, http.StatusOK, r.do("GET", "/readyz", nil).status)
	}
	f.converge()
}

// everywhere writes a key on one node and waits until all others show it.
func (f *fleet) everywhere(key string) {
	f.t.Helper()
	for _, r := range f.nodes {
		if r == nil {
			continue
		}
		// On a machine with too much to do a leader may be lost meanwhile.
		eventually(f.t, func() bool { return r.do("PUT", "/v1/kv/"+key, strings.NewReader(key)).body == "true" })
		break
	}
	for _, r := range f.nodes {
		if r != nil {
			eventually(f.t, func() bool { return r.do("GET", "/v1/kv/"+key+"?raw&stale", nil).body == key })
		}
	}
}

// A node that lost its data comes back under its name with a new ID, takes over
// the vote of the old one, and has everything again.
func TestClusterWipedNodeRejoins(t *testing.T) {
	f := newFleet(t, 3, func(_ int, c *Config) { c.SnapshotThreshold, c.SnapshotInterval = 16, c.RaftHeartbeat/10 }).start()
	f.everywhere("before")
	i := f.follower()
	was := f.nodes[i].node.member.Load().id
	f.stop(i)
	for n := range 100 { // enough for the log to be cut off, so that a snapshot has to be sent
		f.nodes[f.leader()].put(fmt.Sprintf("k/%d", n), "v")
	}
	require.NoError(t, os.RemoveAll(f.config(i).DataDir))
	f.begin(i)
	eventually(t, func() bool { return len(f.nodes[i].missing()) == 0 })
	assert.NotEqual(t, was, f.nodes[i].node.member.Load().id)
	f.converge()
	f.voters("n0", "n1", "n2")
	f.everywhere("after")
	address, err := f.nodes[f.leader()].node.cluster.ServerAddr(was)
	require.NoError(t, err)
	assert.Equal(t, nowhere, address, "its old self is not taken for its new one")

	// Its vote counts: with another node gone, there is still a majority.
	f.stop(f.follower2(i))
	f.everywhere("with two")
}

// A node that missed much while it was away is brought up by a snapshot.
func TestClusterLaggingNodeCatchesUp(t *testing.T) {
	f := newFleet(t, 3, func(_ int, c *Config) { c.SnapshotThreshold, c.SnapshotInterval = 16, c.RaftHeartbeat/10 }).start()
	i := f.follower()
	f.stop(i)
	leader := f.nodes[f.leader()]
	sess := leader.session("delete", "30s")
	for n := range 200 {
		leader.put(fmt.Sprintf("k/%d", n%20), fmt.Sprint(n))
	}
	leader.do("PUT", "/v1/kv/held?acquire="+sess, nil)
	eventually(t, func() bool { return leader.node.member.Load().raft.Stats()["last_snapshot_index"] != "0" })
	f.begin(i)
	f.converge()
	got := f.nodes[i].do("GET", "/v1/session/info/"+sess+"?stale", nil)
	assert.Contains(t, got.body, sess)
}

// sorted gives a copy in order.
func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

// follower2 gives a running follower that is not the given node.
func (f *fleet) follower2(not int) int {
	f.t.Helper()
	l := f.leader()
	for i, r := range f.nodes {
		if r != nil && i != l && i != not {
			return i
		}
	}
	return l
}

// What failed for good loses its vote after REAP_AFTER; what comes back after
// that is taken in again.
func TestClusterReapsFailedNode(t *testing.T) {
	f := newFleet(t, 3, func(_ int, c *Config) { c.Cluster.ReapAfter = time.Second }).start()
	i := f.follower()
	f.stop(i)
	eventually(t, func() bool { return len(f.voterNames(f.leader())) == 2 })
	f.everywhere("without it")
	f.begin(i)
	eventually(t, func() bool { return len(f.voterNames(f.leader())) == 3 })
	f.everywhere("with it")
}

// While nodes are restarted one after the other, those who write and read by the
// others notice nothing: no request fails, and none is lost.
func TestClusterRollingRestartUnderLoad(t *testing.T) {
	f := newFleet(t, 3, steady).start()
	written := 0
	for i := range f.size {
		up := []*running{f.nodes[(i+1)%3], f.nodes[(i+2)%3]}
		ctx, cancel := context.WithCancel(t.Context())
		var writers sync.WaitGroup
		var count atomic.Int32
		for w := range 6 {
			writers.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					key := fmt.Sprintf("/v1/kv/load/%d/%d/%d", i, w, n)
					got := up[w%2].do("PUT", key, strings.NewReader("v"))
					read := up[w%2].do("GET", key+"?raw", nil)
					if got.body != "true" || read.body != "v" {
						t.Errorf("%s: %v, then %v", key, got, read)
						return
					}
					count.Add(1)
				}
			})
		}
		more := func() {
			from := count.Load()
			eventually(t, func() bool { return t.Failed() || count.Load() > from+100 })
		}
		more()
		f.stop(i)
		more()
		f.begin(i)
		f.ready()
		more()
		cancel()
		writers.Wait()
		written += int(count.Load())
	}
	keys, _, err := f.nodes[0].client.KV().Keys("load/", "", nil)
	require.NoError(t, err)
	assert.Len(t, keys, written)
}

// A plain stop keeps the vote, so that a restart of each in turn shrinks nothing
// and costs no write.
func TestClusterRollingRestart(t *testing.T) {
	f := newFleet(t, 3, steady).start()
	f.everywhere("start")
	for i := range f.size {
		f.stop(i)
		assert.Len(t, f.voterNames(f.leader()), 3)
		f.everywhere(fmt.Sprintf("without-%d", i))
		f.begin(i)
		f.ready()
		f.everywhere(fmt.Sprintf("with-%d", i))
	}
	assert.Len(t, f.voterNames(f.leader()), 3)
}

// A node that is told to leave is gone at once, the process with it, and is let
// in again when it is started again.
func TestClusterLeave(t *testing.T) {
	f := newFleet(t, 3, nil).start()
	i := f.leader()
	require.NoError(t, f.nodes[i].client.Agent().Leave())
	f.stop(i) // its Run has returned, or is about to
	eventually(t, func() bool { return len(f.voterNames(f.leader())) == 2 })
	f.everywhere("two")
	f.begin(i)
	eventually(t, func() bool { return len(f.voterNames(f.leader())) == 3 })
	f.everywhere("three")

	gone := f.follower()
	f.stop(gone)
	told := false
	eventually(t, func() bool {
		err := f.nodes[f.leader()].client.Agent().ForceLeave(nodeName(gone))
		told = told || err == nil
		return told && len(f.voterNames(f.leader())) == 2
	})
	assert.Error(t, f.nodes[f.leader()].client.Agent().ForceLeave("nobody"))
}

// The data folder of a node that was alone becomes the first of three.
func TestClusterGrowsFromOne(t *testing.T) {
	f := newFleet(t, 3, nil)
	alone := f.config(0)
	alone.Cluster = defaultClusterConfig()
	alone.HTTP.Token = ""
	r := start(t, alone)
	r.put("old", "v")
	id := r.node.member.Load().id
	assert.Equal(t, loopbackAddr, r.node.member.Load().address)
	r.stop()

	f.start()
	assert.Equal(t, id, f.nodes[0].node.member.Load().id)
	eventually(t, func() bool { return len(f.voterNames(f.leader())) == 3 })
	for _, r := range f.nodes {
		assert.Equal(t, "v", r.do("GET", "/v1/kv/old?raw", nil).body)
	}
	peers, err := f.nodes[1].client.Status().Peers()
	require.NoError(t, err)
	assert.NotContains(t, peers, string(loopbackAddr), "the address that was for itself only is replaced")
	f.stop(0)
	f.everywhere("without the first")

	// Alone again by its settings, it says what is wrong rather than wait forever.
	s, err := New(alone, Deps{Log: quiet()})
	require.NoError(t, err)
	assert.ErrorContains(t, s.Run(t.Context()), "a cluster with 2 other nodes")
}

// All nodes come back with other addresses, as containers may.
func TestClusterAddressesChange(t *testing.T) {
	f := newFleet(t, 3, nil).start()
	f.everywhere("before")
	for i := range f.size {
		f.stop(i)
	}
	for i := range f.size {
		f.ports[i] = [3]int{f.freePort(), f.freePort(), f.freePort()}
		for _, p := range f.ports[i] {
			f.wall.owns(nodeName(i), p)
		}
	}
	for i := range f.size {
		f.begin(i)
	}
	f.ready()
	f.everywhere("after")
	eventually(t, func() bool {
		peers, err := f.nodes[0].client.Status().Peers()
		require.NoError(t, err)
		slices.Sort(peers)
		var want []string
		for i := range f.size {
			want = append(want, fmt.Sprintf("%s:%d", f.host, f.ports[i][2]))
		}
		slices.Sort(want)
		return slices.Equal(want, peers)
	})
}

// A node with a history of its own is kept out: what it holds must not be lost.
func TestClusterKeepsOutAnother(t *testing.T) {
	f := newFleet(t, 4, func(i int, c *Config) {
		c.Cluster.Expect = 3
		if i == 3 {
			c.Cluster.Expect = 1
		}
	})
	f.begin(3)
	eventually(t, func() bool { return f.nodes[3].node.lead.isOpen() && f.nodes[3].node.cluster.clusterID() != "" })
	f.nodes[3].put("mine", "v")
	f.stop(3)
	join := f.tune
	f.tune = func(i int, c *Config) {
		join(i, c)
		if i < 3 {
			c.Cluster.Join = c.Cluster.Join[:3]
		}
	}
	f.begin(0, 1, 2)
	f.ready()
	f.everywhere("theirs")
	f.begin(3)
	eventually(t, func() bool { return len(f.nodes[0].node.cluster.peers()) == 4 && f.nodes[3].node.lead.isOpen() })
	f.nodes[f.leader3()].put("again", "v")
	assert.Len(t, f.voterNames(f.leader3()), 3)
	assert.Equal(t, "v", string(f.nodes[3].get("mine").Value))
	assert.Nil(t, f.nodes[3].get("theirs"))
}

// leader3 gives the leader among the first three.
func (f *fleet) leader3() int {
	found := -1
	eventually(f.t, func() bool {
		for i, r := range f.nodes[:3] {
			if r.node.lead.isOpen() {
				found = i
			}
		}
		return found >= 0
	})
	return found
}
