//go:build vips

package native_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/native"
)

func newEngine(t testing.TB) *native.Engine {
	e, err := native.New()
	require.NoError(t, err)
	return e
}

func TestConformance(t *testing.T) { enginetest.Run(t, newEngine(t)) }
