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

// settingsStore is a handle with tiny times.
func settingsStore(t testing.TB, url string, change ...func(*consul.Config)) *consul.Registry {
	cfg := consul.Config{
		Address: url, Wait: 10 * time.Second, Rate: 1000, CallTimeout: time.Minute,
		BackoffMin: 5 * time.Millisecond, BackoffMax: 50 * time.Millisecond,
	}
	for _, c := range change {
		c(&cfg)
	}
	reg, err := consul.New(cfg, consul.Deps{})
	require.NoError(t, err)
	t.Cleanup(reg.Close)
	return reg
}

// The shared settings in this store keep what every store of them owes, and are
// plain keys to everybody else's tools.
func TestSettings(t *testing.T) {
	discoverytest.RunSettings(t, func(t *testing.T) discoverytest.SettingsHarness {
		cfg := diskConfig(t)
		r := start(t, cfg)
		cfg.HTTP.Listen = strings.TrimPrefix(r.url, "http://")
		return discoverytest.SettingsHarness{
			Open: func(t *testing.T) discovery.SettingsStore { return settingsStore(t, r.url) },
			Outage: func(t *testing.T) func() {
				r.stop()
				return func() { r = start(t, cfg) }
			},
			Foreign: func(_ *testing.T, name, value string) { r.put("config/"+name, value) },
			Spoil: func(*testing.T) {
				for _, key := range []string{"config/", "config/folder/", "config/a b", "config/@writer/gone", "config-2/a", "config"} {
					r.put(key, "x")
				}
			},
		}
	})
}
