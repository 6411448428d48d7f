package engines_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/cmd/internal/engines"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/imaging"
)

func TestEngineOfAKind(t *testing.T) {
	e, can, err := engines.New(engine.KindImaging)
	require.NoError(t, err)
	require.IsType(t, &imaging.Engine{}, e)
	require.Equal(t, imaging.Name, can.Engine)
	e, can, err = engines.New(engine.KindAuto)
	require.NoError(t, err)
	_, pure := e.(*imaging.Engine)
	require.Equal(t, !engines.Native, pure, "auto is native where that was built in")
	require.Equal(t, pure, can.Engine == imaging.Name, "abilities are those of the engine")
	_, _, err = engines.New(engine.KindNative)
	if engines.Native {
		require.NoError(t, err)
	} else {
		require.ErrorContains(t, err, "-tags vips")
	}
	_, _, err = engines.New(engine.KindImaging, "svg", "pdf")
	require.ErrorContains(t, err, "INPUTS: svg, pdf can be read by the native engine only")
	_, _, err = engines.New(engine.KindAuto, "psd")
	require.ErrorContains(t, err, "INPUTS: ")
	_, can, err = engines.New(engine.KindAuto)
	require.NoError(t, err)
	require.False(t, can.Reads("svg") || can.Reads("pdf") || can.Reads("jxl"), "they are off by default")
	_, _, err = engines.New("magick")
	require.ErrorContains(t, err, "auto, imaging or native")
}
