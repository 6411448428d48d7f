package kvstore

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery/consul"
	"imagemill/pkg/discovery/settings"
)

// watchers is how many services follow the settings in these tests.
const watchers = 50

// arrival is a value in effect in one watcher.
type arrival struct {
	watcher, value int
	at             time.Time
}

// crowd is many services, each with a client of its own and everything as
// services have it by default.
type crowd struct {
	store    *consul.Registry
	sets     []*settings.Set
	values   []*settings.Value[int]
	queries  []*atomic.Int64 // that each has sent
	arrivals chan arrival
}

// counted counts requests.
type counted struct {
	http.RoundTripper
	n *atomic.Int64
}

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

// gather starts the watchers and waits until each has seen the first value, 1.
func gather(t testing.TB) *crowd {
	r := start(t, MemConfig())
	c := &crowd{store: settingsStore(t, r.url), arrivals: make(chan arrival, 100_000)}
	require.NoError(t, c.store.PutSetting(t.Context(), "n", "1", "w"))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, watchers)
	for i := range watchers {
		n, transport := &atomic.Int64{}, &http.Transport{}
		store, err := consul.New(consul.Config{Address: r.url}, consul.Deps{HTTPClient: &http.Client{Transport: counted{transport, n}}})
		require.NoError(t, err)
		set := settings.New(settings.Config{})
		v := settings.Use(set, settings.Definition[int]{Name: "n", Parse: strconv.Atoi}, 0, func(v int) {
			c.arrivals <- arrival{i, v, time.Now()}
		})
		c.sets, c.values, c.queries = append(c.sets, set), append(c.values, v), append(c.queries, n)
		go func() {
			defer transport.CloseIdleConnections()
			done <- set.Run(ctx, store)
		}()
	}
	t.Cleanup(func() {
		cancel()
		for range watchers {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	c.await(t, 1)
	return c
}

// await waits until all watchers have the value in effect and gives when each had.
func (c *crowd) await(t testing.TB, value int) []time.Time {
	t.Helper()
	late := time.After(time.Minute)
	var at []time.Time
	for len(at) < watchers {
		select {
		case a := <-c.arrivals:
			if a.value == value {
				at = append(at, a.at)
			}
		case <-late:
			require.FailNow(t, "a change did not arrive", "%d of %d have %d", len(at), watchers, value)
		}
	}
	return at
}

// change writes the value and gives how long each watcher took to have it in
// effect, from before the write, shortest first.
func (c *crowd) change(t testing.TB, value int) []time.Duration {
	t.Helper()
	begun := time.Now()
	require.NoError(t, c.store.PutSetting(t.Context(), "n", strconv.Itoa(value), "w"))
	var took []time.Duration
	for _, at := range c.await(t, value) {
		took = append(took, at.Sub(begun))
	}
	slices.Sort(took)
	return took
}

// A changed setting is in effect in all of 50 services within 200 ms. One change
// follows the other at once, so that their limiters have their say too. A busy
// machine may delay some; not most.
func TestAChangeIsInEffectEverywhereSoon(t *testing.T) {
	c := gather(t)
	var slowest []time.Duration
	for n := range 21 {
		took := c.change(t, n+2)
		slowest = append(slowest, took[len(took)-1])
	}
	slices.Sort(slowest)
	t.Logf("the last of %d watchers, of 21 changes: p50 %s, max %s", watchers, slowest[10], slowest[20])
	require.LessOrEqual(t, slowest[10], 200*time.Millisecond)
}

// A writer with a thousand changes a second costs each of 50 watchers what its
// limiter allows, and what it wrote last is in effect soon after.
func TestAFlappingWriterIsBounded(t *testing.T) {
	c := gather(t)
	before := make([]int64, watchers)
	for i, q := range c.queries {
		before[i] = q.Load()
	}
	begun, written := time.Now(), 0
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for time.Since(begun) < time.Second || written < 200 {
		<-tick.C
		written++
		require.NoError(t, c.store.PutSetting(t.Context(), "n", strconv.Itoa(1000+written), "w"))
	}
	last := c.change(t, 999_999)
	seconds, rate, most := time.Since(begun).Seconds(), consul.Defaults().Rate, int64(0)
	for i, q := range c.queries {
		// The bucket is full at first, and one query may be on its way.
		n := q.Load() - before[i]
		require.LessOrEqual(t, float64(n), rate+rate*seconds+1, "watcher %d", i)
		most = max(most, n)
		applied, _ := c.sets[i].Counts()
		require.LessOrEqual(t, float64(applied), 2+rate+rate*seconds)
		require.Equal(t, 999_999, c.values[i].Get())
	}
	t.Logf("%d changes; the last one in effect everywhere after %s; a watcher sent %d queries in %.2f s",
		written, last[len(last)-1], most, seconds)
	require.Less(t, last[len(last)-1], 2*time.Second)
}

// BenchmarkSettingChange tells how long a change takes to be in effect in each of
// 50 services: the percentiles of all of them, and of the last of each change.
func BenchmarkSettingChange(b *testing.B) {
	c := gather(b)
	pace := time.NewTicker(150 * time.Millisecond) // a change every now and then, as people make them
	defer pace.Stop()
	var all, slowest []time.Duration
	value := 1
	for b.Loop() {
		<-pace.C
		value++
		took := c.change(b, value)
		all, slowest = append(all, took...), append(slowest, took[len(took)-1])
	}
	for name, d := range map[string][]time.Duration{"all": all, "last": slowest} {
		slices.Sort(d)
		for _, p := range []int{50, 90, 99, 100} {
			at := d[min(len(d)*p/100, len(d)-1)]
			b.ReportMetric(float64(at.Microseconds())/1000, fmt.Sprintf("%s-p%d-ms", name, p))
		}
	}
}
