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
		return discoverytest.Harness{
			Open: func(t *testing.T) discovery.Registry {
				reg, err := consul.New(consul.Config{
					Address: r.url, TTL: time.Second, Wait: 10 * time.Second, Rate: 1000,
					BackoffMin: 5 * time.Millisecond, BackoffMax: 50 * time.Millisecond,
					CallTimeout: time.Second, StopTimeout: 500 * time.Millisecond,
				}, consul.Deps{})
				require.NoError(t, err)
				t.Cleanup(reg.Close)
				return reg
			},
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
	r := start(t, MemConfig())
	const ttl = 300 * time.Millisecond
	id := r.session("delete", ttl.String())
	lock := r.do("PUT", "/v1/kv/services/worker/x?acquire="+id, strings.NewReader(
		`{"id":"x","service":"worker","url":"http://127.0.0.1:1","started":"2026-01-02T03:04:05Z"}`))
	require.Equal(t, "true", lock.body)
	begun := time.Now()
	reg, err := consul.New(consul.Config{Address: r.url, Rate: 1000}, consul.Deps{})
	require.NoError(t, err)
	t.Cleanup(reg.Close)
	for set := range reg.Watch(t.Context(), "worker") {
		if len(set) == 0 {
			break
		}
	}
	require.Less(t, time.Since(begun), ttl+time.Second)
}
