package gossip_test

import (
	"testing"

	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/discoverytest"
)

// TestSettings runs the suite with a member of its own behind each handle.
func TestSettings(t *testing.T) {
	discoverytest.RunSettings(t, func(t *testing.T) discoverytest.SettingsHarness {
		net := newNetwork()
		first := start(t, options{net: net, cfg: config()})
		return discoverytest.SettingsHarness{
			Open: func(t *testing.T) discovery.SettingsStore {
				return start(t, options{net: net, cfg: config(first.address)}).Registry
			},
			Within: patience,
		}
	})
}
