package gossip_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery/gossip"
)

// production is the config as it is used: no times but the defaults, and patience
// with a machine that stands still.
func production(join ...string) gossip.Config {
	return gossip.Config{Join: join, CallTimeout: callTime}
}

// BenchmarkConverge50 starts fifty members, parts them in halves until these have
// given up each other, and heals the network.
func BenchmarkConverge50(b *testing.B) {
	for b.Loop() {
		net := newNetwork()
		begun := time.Now()
		nodes := cluster(b, many, options{net: net, cfg: production()})
		views := make([]*view, many)
		for i, n := range nodes {
			views[i] = watch(b, n, "worker")
			beginAnnounce(b, n, instance("worker", i))
		}
		eventually(b, patience, allSee(views, many), "every member sees every instance")
		b.ReportMetric(time.Since(begun).Seconds(), "start-s")
		net.move(1, nodes[:many/2]...)
		b.ReportMetric(eventually(b, patience, allSee(views, many/2), "each half sees itself").Seconds(), "gone-s")
		net.heal()
		b.ReportMetric(eventually(b, patience, allSee(views, many), "every member sees every instance").Seconds(), "heal-s")
	}
}

// BenchmarkSetting50 changes a setting that fifty members watch.
func BenchmarkSetting50(b *testing.B) {
	nodes := cluster(b, many, options{cfg: production()})
	eventually(b, patience, everybody(nodes, seeing(many)), "all know each other")
	views := make([]*settings, many)
	for i, n := range nodes {
		views[i] = watchSettings(b, n)
	}
	turn := 0
	var longest time.Duration
	for b.Loop() {
		turn++
		value := fmt.Sprint(turn)
		begun := time.Now()
		require.NoError(b, nodes[turn%many].PutSetting(b.Context(), "a", value, ""))
		eventually(b, patience, func() bool {
			for _, v := range views {
				if v.value("a") != value {
					return false
				}
			}
			return true
		}, "all see it")
		longest = max(longest, time.Since(begun))
	}
	b.ReportMetric(float64(longest.Milliseconds()), "longest-ms")
}

// BenchmarkWithdraw50 withdraws an instance that fifty members watch, and announces
// it again; the metric is of the withdrawal alone.
func BenchmarkWithdraw50(b *testing.B) {
	nodes := cluster(b, many, options{cfg: production()})
	views := make([]*view, many)
	for i, n := range nodes {
		views[i] = watch(b, n, "worker")
	}
	var longest time.Duration
	for b.Loop() {
		end := announce(b, nodes[7], instance("worker", 1))
		eventually(b, patience, allSee(views, 1), "it is seen")
		begun := time.Now()
		go end()
		eventually(b, patience, allSee(views, 0), "it is gone")
		longest = max(longest, time.Since(begun))
	}
	b.ReportMetric(float64(longest.Milliseconds()), "longest-ms")
}
