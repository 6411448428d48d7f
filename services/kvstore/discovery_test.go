package kvstore

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/consul"
	"imagemill/pkg/discovery/discoverytest"
)

// Discovery over this store owes what every registry owes, also when the store
// forgets, is restarted, or holds rubbish.
func TestDiscovery(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discoverytest.Harness {
		cfg := diskConfig(t)
		r := start(t, cfg)
		cfg.HTTP.Listen = strings.TrimPrefix(r.url, "http://")
		open := func(t *testing.T, ttl time.Duration) discovery.Registry {
			reg, err := consul.New(consul.Config{
				Address: r.url, TTL: ttl, Wait: 10 * time.Second, Rate: 1000,
				BackoffMin: 5 * time.Millisecond, BackoffMax: 50 * time.Millisecond,
				CallTimeout: 10 * time.Second, StopTimeout: time.Minute,
			}, consul.Deps{})
			require.NoError(t, err)
			t.Cleanup(reg.Close)
			return reg
		}
		return discoverytest.Harness{
			Open:  func(t *testing.T) discovery.Registry { return open(t, time.Hour) },
			Brief: func(t *testing.T) discovery.Registry { return open(t, time.Second) },
			Forget: func(t *testing.T) {
				sessions, _, err := r.client.Session().List(nil)
				require.NoError(t, err)
				for _, s := range sessions {
					_, err := r.client.Session().Destroy(s.ID, nil)
					require.NoError(t, err)
				}
			},
			Outage: func(t *testing.T) func() {
				r.stop()
				return func() { r = start(t, cfg) }
			},
			Spoil: func(_ *testing.T, service string) { r.put("services/"+service+"/junk", "{") },
		}
	})
}

// An instance that is killed (its announcement is neither renewed nor withdrawn)
// is gone from every watcher within its TTL and a second.
func TestKilledInstanceIsGone(t *testing.T) {
	var c clock
	r := startAt(t, MemConfig(), c.now)
	const ttl = 300 * time.Millisecond
	id := r.session("delete", ttl.String())
	lock := r.do("PUT", "/v1/kv/services/worker/x?acquire="+id, strings.NewReader(
		`{"id":"x","service":"worker","url":"http://127.0.0.1:1","started":"2026-01-02T03:04:05Z"}`))
	require.Equal(t, "true", lock.body)
	reg, err := consul.New(consul.Config{Address: r.url, Rate: 1000}, consul.Deps{})
	require.NoError(t, err)
	t.Cleanup(reg.Close)
	sets := reg.Watch(t.Context(), "worker")
	require.Len(t, <-sets, 1)
	c.advance(ttl)
	r.node.deadlines.wake()
	require.NotNil(t, r.get("services/worker/x"), "not before its time")
	c.advance(time.Second)
	r.node.deadlines.wake()
	require.Empty(t, <-sets)
}
