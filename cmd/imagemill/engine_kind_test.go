package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker"
	"imagemill/services/worker/engine/imaging"
)

func TestEngineOfAKind(t *testing.T) {
	e, err := newEngine(worker.EngineImaging)
	require.NoError(t, err)
	require.IsType(t, &imaging.Engine{}, e)
	e, err = newEngine(worker.EngineAuto)
	require.NoError(t, err)
	_, pure := e.(*imaging.Engine)
	require.Equal(t, !nativeBuilt, pure, "auto is native where that was built in")
	_, err = newEngine(worker.EngineNative)
	if nativeBuilt {
		require.NoError(t, err)
	} else {
		require.ErrorContains(t, err, "-tags vips")
	}
	_, err = newEngine("magick")
	require.ErrorContains(t, err, "auto, imaging or native")
}
