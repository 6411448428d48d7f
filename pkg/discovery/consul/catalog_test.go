package consul_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery/consul"
)

// What has Consul's KV API but no catalogue serves as a registry all the same.
func TestCatalogThatIsNotThereHurtsNobody(t *testing.T) {
	f := startFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	reg := open(t, f, func(c *consul.Config) { c.Catalog = &consul.Catalog{} })
	ended := announce(t, ctx, reg)
	sets := reg.Watch(t.Context(), "store")
	sizes(t, sets, 1)
	require.Eventually(t, func() bool { return f.unknown.Load() > 2 }, time.Minute, time.Millisecond, "it goes on trying")
	cancel()
	<-ended
	sizes(t, sets, 0)
	_, sessions, _, _ := f.look()
	assert.Zero(t, sessions)
}

func TestCatalogConfigIsChecked(t *testing.T) {
	for want, c := range map[string]consul.Catalog{"catalogue prefix": {Prefix: "a.b"}, "reap": {Reap: -1}} {
		_, err := consul.New(consul.Config{Address: "http://h:1", Catalog: &c}, consul.Deps{})
		assert.ErrorContains(t, err, want)
	}
	assert.True(t, consul.ValidCatalogPrefix(""))
	assert.True(t, consul.ValidCatalogPrefix("mill-"))
	assert.False(t, consul.ValidCatalogPrefix("-mill"))
}
