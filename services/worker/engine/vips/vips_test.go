//go:build vips

package vips_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/vips"
)

func newEngine(t testing.TB) *vips.Engine {
	e, err := vips.New()
	require.NoError(t, err)
	return e
}

func TestConformance(t *testing.T) { enginetest.Run(t, newEngine(t)) }
