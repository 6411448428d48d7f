package consul_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/consul"
	"imagemill/pkg/discovery/discoverytest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// open makes a handle with tiny times, but for those that a machine that stands
// still for a while would use up.
func open(t *testing.T, f *fake, change ...func(*consul.Config)) *consul.Registry {
	cfg := consul.Config{
		Address: f.srv.URL, Token: "secret", TTL: time.Hour, Wait: 2 * time.Second,
		CallTimeout: time.Minute, StopTimeout: time.Minute,
		BackoffMin: time.Millisecond, BackoffMax: 20 * time.Millisecond, Rate: 1000,
	}
	for _, c := range change {
		c(&cfg)
	}
	reg, err := consul.New(cfg, consul.Deps{})
	require.NoError(t, err)
	t.Cleanup(reg.Close)
	return reg
}

func TestRegistry(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discoverytest.Harness {
		f := startFake(t)
		return discoverytest.Harness{
			Open: func(t *testing.T) discovery.Registry { return open(t, f) },
			Brief: func(t *testing.T) discovery.Registry {
				return open(t, f, func(c *consul.Config) { c.TTL = 600 * time.Millisecond })
			},
			Forget: func(*testing.T) { f.forget() },
			Outage: func(*testing.T) func() { return f.outage() },
			Spoil: func(_ *testing.T, service string) {
				f.set("services/"+service+"/a", "{")
				f.set("services/"+service+"/b", `{"id":"b","service":"`+service+`"}`)
				f.set("services/"+service+"/c", `{"id":"x","service":"`+service+`","url":"http://h:1"}`)
			},
		}
	})
}

var store = discovery.Instance{ID: "a", Service: "store", URL: "http://127.0.0.1:1"}

// announce keeps the instance announced until the test ends, or ctx.
func announce(t *testing.T, ctx context.Context, reg discovery.Registry) (ended <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	announced, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		assert.NoError(t, reg.Announce(ctx, store, func() { close(announced) }))
	}()
	t.Cleanup(func() { cancel(); <-done })
	select {
	case <-announced:
	case <-time.After(time.Minute):
		require.FailNow(t, "not announced")
	}
	return done
}

// sizes waits for a set of the size.
func sizes(t *testing.T, sets <-chan []discovery.Instance, want int) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case set := <-sets:
			if len(set) == want {
				return
			}
		case <-deadline:
			require.FailNow(t, "no set of that size", "%d", want)
		}
	}
}

func TestStopLeavesNothingBehind(t *testing.T) {
	f := startFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := announce(t, ctx, open(t, f))
	cancel()
	<-ended
	_, sessions, _, token := f.look()
	assert.Zero(t, sessions)
	assert.Empty(t, f.find("services/", true))
	assert.Equal(t, "secret", token)
}

func TestVanishedKeyIsAnnouncedUnderTheSameSession(t *testing.T) {
	f := startFake(t)
	reg := open(t, f)
	announce(t, t.Context(), reg)
	f.remove("services/store/a")
	require.Eventually(t, f.holds, time.Minute, time.Millisecond)
	_, _, made, _ := f.look()
	assert.Equal(t, 1, made)
}

func TestIDHeldByAnotherIsTakenWhenFree(t *testing.T) {
	f := startFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := announce(t, ctx, open(t, f))
	announced := make(chan struct{})
	second, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		assert.NoError(t, open(t, f).Announce(second, store, func() { close(announced) }))
	}()
	require.Eventually(t, func() bool { _, _, made, _ := f.look(); return made == 2 }, time.Minute, time.Millisecond)
	cancel()
	<-first
	<-announced
	stop()
	<-done
}

func TestIndexThatGoesBackwardsIsFollowed(t *testing.T) {
	f := startFake(t)
	reg := open(t, f, func(c *consul.Config) { c.Wait = time.Hour })
	sets := reg.Watch(t.Context(), "store")
	sizes(t, sets, 0)
	require.Eventually(t, f.polled, time.Minute, time.Millisecond)
	f.rewindIndex()
	f.set("services/store/a", `{"id":"a","service":"store","url":"http://127.0.0.1:1"}`)
	sizes(t, sets, 1)
}

func TestUnchangedDataAreNotDelivered(t *testing.T) {
	f := startFake(t)
	reg := open(t, f)
	sets := reg.Watch(t.Context(), "store")
	sizes(t, sets, 0)
	before, _, _, _ := f.look()
	for i := range 5 {
		f.set("elsewhere", fmt.Sprint(i))
		require.Eventually(t, func() bool { now, _, _, _ := f.look(); return now > before+i }, time.Minute, time.Millisecond)
	}
	// The next set delivered is the one that differs.
	f.set("services/store/a", `{"id":"a","service":"store","url":"http://127.0.0.1:1"}`)
	assert.Len(t, <-sets, 1)
}

func TestRateLimitBoundsQueries(t *testing.T) {
	f := startFake(t)
	reg := open(t, f, func(c *consul.Config) { c.Rate = 5 })
	started := time.Now()
	sets := reg.Watch(t.Context(), "")
	for i := 0; time.Since(started) < 300*time.Millisecond; i++ {
		f.set("services/noise", fmt.Sprint(i))
	}
	sizes(t, sets, 0)
	lists, _, _, _ := f.look()
	assert.LessOrEqual(t, float64(lists), 5+5*time.Since(started).Seconds()+1)
}

func TestConfigIsChecked(t *testing.T) {
	for name, spoil := range map[string]func(*consul.Config){
		"address": func(c *consul.Config) { c.Address = "localhost:8500" },
		"prefix":  func(c *consul.Config) { c.Prefix = "/services" },
		"TTL":     func(c *consul.Config) { c.TTL = -1 },
		"backoff": func(c *consul.Config) { c.BackoffMin = time.Hour },
		"rate":    func(c *consul.Config) { c.Rate = -1 },
	} {
		cfg := consul.Config{Address: "http://localhost:8500"}
		require.NoError(t, cfg.Validate())
		spoil(&cfg)
		_, err := consul.New(cfg, consul.Deps{HTTPClient: &http.Client{}})
		assert.ErrorContains(t, err, name)
	}
	assert.NoError(t, func() error { c := consul.Defaults(); c.Address = "http://h:1"; return c.Validate() }())
}

func ExampleNew() {
	reg, err := consul.New(consul.Config{Address: "http://127.0.0.1:8500"}, consul.Deps{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reg.Close()

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		_ = reg.Announce(ctx, discovery.Instance{
			ID: "0190-storage", Service: "storage", URL: "http://127.0.0.1:8301",
		}, nil)
	}()
	for set := range reg.Watch(ctx, "storage") {
		fmt.Println(len(set), "storage nodes")
	}
}
