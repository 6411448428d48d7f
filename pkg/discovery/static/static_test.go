package static_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/discoverytest"
	"imagemill/pkg/discovery/static"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestRegistry(t *testing.T) {
	discoverytest.RunFixed(t, func(t *testing.T, fixed map[string][]string) discovery.Registry {
		reg, err := static.New(fixed)
		require.NoError(t, err)
		return reg
	})
}

func TestSettings(t *testing.T) {
	discoverytest.RunFixedSettings(t, func(t *testing.T, doc discovery.Document) discovery.SettingsStore {
		reg, err := static.New(nil)
		require.NoError(t, err)
		reg, err = reg.WithSettings(doc)
		require.NoError(t, err)
		return reg
	})
	reg, err := static.New(nil)
	require.NoError(t, err)
	_, err = reg.WithSettings(discovery.Document{"a b": {}})
	require.ErrorIs(t, err, discovery.ErrInvalidSetting)
}

func TestNewRefusesWhatCannotBeReached(t *testing.T) {
	for name, fixed := range map[string]map[string][]string{
		"url":      {"storage": {"localhost:80"}},
		"Storage!": {"Storage!": {"http://localhost:80"}},
		"twice":    {"storage": {"http://localhost:80", "http://localhost:80"}},
	} {
		_, err := static.New(fixed)
		assert.ErrorContains(t, err, name)
	}
}

func Example() {
	reg, err := static.New(map[string][]string{"storage": {"http://10.0.0.1:80", "http://10.0.0.2:80"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for _, in := range <-reg.Watch(ctx, "storage") {
		fmt.Println(in.ID, in.URL)
	}
	// Output:
	// storage-0 http://10.0.0.1:80
	// storage-1 http://10.0.0.2:80
}
