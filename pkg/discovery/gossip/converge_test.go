package gossip_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery/gossip"
)

// promised is how long a large cluster may take to agree.
const promised = 3 * time.Second

// slack, atOnce and farTTL are for a machine that does other things too. What is
// measured is logged, and measured properly by the benchmarks.
const (
	slack  = 6
	atOnce = 4 * time.Second  // far more than the 200 ms promised, less than a TTL
	farTTL = 20 * time.Minute // nobody is given up for not answering
)

// patientConfig is for many members on a machine that may be busy: with the times
// of operation, but for a few.
func patientConfig() gossip.Config {
	cfg := config()
	cfg.TTL, cfg.GossipInterval = gossip.Defaults().TTL, gossip.Defaults().GossipInterval
	return cfg
}

// large runs a cluster of many, each with an instance and a watch, and gives how
// long it took from the first member's start until each saw every instance.
func large(t testing.TB, net *network, cfg gossip.Config) (nodes []*node, views []*view, ends []func(), took time.Duration) {
	begun := time.Now()
	nodes = cluster(t, many, options{net: net, cfg: cfg})
	for i, n := range nodes {
		views = append(views, watch(t, n, "worker"))
		_, end := beginAnnounce(t, n, instance("worker", i))
		ends = append(ends, end)
	}
	eventually(t, patience, allSee(views, many), "every member sees every instance")
	return nodes, views, ends, time.Since(begun)
}

// allSee tells whether each view has so many instances.
func allSee(views []*view, instances int) func() bool {
	return func() bool {
		for _, v := range views {
			if v.len() != instances {
				return false
			}
		}
		return true
	}
}

func TestManyConvergeAfterStartAndAfterAPartition(t *testing.T) {
	net := newNetwork()
	nodes, views, _, started := large(t, net, patientConfig())
	t.Logf("%d members see %d instances %s after the first started", many, many, started.Round(time.Millisecond))
	assert.Less(t, started, slack*promised)

	net.move(1, nodes[:many/2]...)
	parted := eventually(t, patience, allSee(views, many/2), "each half sees itself alone")
	t.Logf("halves have given up each other after %s, with a TTL of %s", parted.Round(time.Millisecond), patientConfig().TTL)
	require.NoError(t, nodes[0].PutSetting(t.Context(), "limit", "left", ""))
	require.NoError(t, nodes[many-1].PutSetting(t.Context(), "limit", "right", ""))
	require.NoError(t, nodes[1].PutSetting(t.Context(), "other", "left", ""))
	eventually(t, patience, everybody(nodes[:many/2], generation(2)), "the left side agrees")
	eventually(t, patience, everybody(nodes[many/2:], generation(1)), "the right side agrees")

	net.heal()
	healed := eventually(t, patience, allSee(views, many), "every member sees every instance again")
	t.Logf("%d members see all instances %s after the network is whole", many, healed.Round(time.Millisecond))
	assert.Less(t, healed, slack*promised)
	agreed := healed + eventually(t, patience, everybody(nodes, generation(2)), "all have the settings of the higher generation")
	t.Logf("and have the same settings after %s", agreed.Round(time.Millisecond))
	assert.Less(t, agreed, slack*promised)
	for _, n := range nodes {
		assert.Equal(t, "left", watchSettings(t, n).await(t, "limit"))
	}
}

// generation tells whether a member has settings of a generation.
func generation(want uint64) func(*node) bool {
	return func(n *node) bool {
		got, _ := n.Generation()
		return got == want
	}
}

// Two sides change the same setting as often: the names of the members decide,
// and decide the same everywhere.
func TestChangesOfTwoSidesEndAsOne(t *testing.T) {
	net := newNetwork()
	nodes := cluster(t, 6, options{net: net, cfg: config()})
	eventually(t, patience, everybody(nodes, seeing(6)), "all know each other")
	net.move(1, nodes[:3]...)
	eventually(t, patience, everybody(nodes, seeing(3)), "each side knows itself alone")
	require.NoError(t, nodes[0].PutSetting(t.Context(), "limit", "left", "ada"))
	require.NoError(t, nodes[5].PutSetting(t.Context(), "limit", "right", "bob"))
	eventually(t, patience, everybody(nodes, generation(1)), "each side has its own")

	net.heal()
	want, winner := "left", nodes[0].MemberName()
	if name := nodes[5].MemberName(); name > winner {
		want, winner = "right", name
	}
	took := eventually(t, patience, everybody(nodes, func(n *node) bool {
		generation, origin := n.Generation()
		return generation == 1 && origin == winner
	}), "all have the change of "+winner)
	t.Logf("one value %s after the network is whole", took.Round(time.Millisecond))
	for _, n := range nodes {
		assert.Equal(t, want, watchSettings(t, n).await(t, "limit"))
	}
}

func TestAChangedSettingIsSeenByMany(t *testing.T) {
	cfg := patientConfig()
	cfg.TTL = farTTL
	nodes := cluster(t, many, options{cfg: cfg})
	eventually(t, patience, everybody(nodes, seeing(many)), "all know each other")
	views := make([]*settings, many)
	for i, n := range nodes {
		views[i] = watchSettings(t, n)
	}
	var longest time.Duration
	for i := range 5 {
		value := fmt.Sprint("value-", i)
		begun := time.Now()
		require.NoError(t, nodes[(7*i)%many].PutSetting(t.Context(), "log/level", value, "ada"))
		eventually(t, patience, func() bool {
			for _, v := range views {
				if v.value("log/level") != value {
					return false
				}
			}
			return true
		}, "all see "+value)
		longest = max(longest, time.Since(begun))
	}
	t.Logf("a setting is seen by %d members within %s", many, longest.Round(time.Millisecond))
	assert.Less(t, longest, slack*promised)
}

// A member that stops properly is gone at once; so is an instance that is
// withdrawn while its member goes on.
func TestAnOrderlyStopIsSeenAtOnce(t *testing.T) {
	cfg := patientConfig()
	cfg.TTL = farTTL
	nodes, views, ends, _ := large(t, nil, cfg)
	var longest time.Duration
	for i := range 10 {
		gone := make(chan struct{})
		begun := time.Now()
		go func() {
			defer close(gone)
			ends[many-1-i]()
		}()
		eventually(t, patience, allSee(views, many-1-i), "the withdrawn instance is gone")
		longest = max(longest, time.Since(begun))
		<-gone
	}
	t.Logf("a withdrawn instance is gone from %d members within %s", many, longest.Round(time.Millisecond))
	assert.Less(t, longest, atOnce)

	left := make(chan struct{})
	go func() {
		defer close(left)
		nodes[1].stop() // with its instance still announced
	}()
	took := eventually(t, patience, allSee(append(views[:1:1], views[2:]...), many-11), "the member that left is gone")
	t.Logf("a member that leaves is gone from all after %s", took.Round(time.Millisecond))
	assert.Less(t, took, atOnce)
	<-left
}

// A member that is cut off without a word is gone after its TTL and a second.
func TestALostMemberIsGoneAfterItsTTL(t *testing.T) {
	net := newNetwork()
	nodes := cluster(t, 10, options{net: net, cfg: config()})
	views := make([]*view, len(nodes))
	for i, n := range nodes {
		views[i] = watch(t, n, "worker")
		announce(t, n, instance("worker", i))
	}
	eventually(t, patience, allSee(views, 10), "every member sees every instance")
	net.move(1, nodes[9])
	took := eventually(t, patience, allSee(views[:9], 9), "the lost member is gone")
	t.Logf("a lost member is gone from 9 after %s, with a TTL of %s", took.Round(time.Millisecond), config().TTL)
	assert.Less(t, took, config().TTL+slack*time.Second)
	assert.Greater(t, took, config().TTL/20, "a single lost packet is no death")
	net.heal()
	took = eventually(t, patience, allSee(views, 10), "the member is back")
	t.Logf("it is back %s after the network is whole", took.Round(time.Millisecond))
}
