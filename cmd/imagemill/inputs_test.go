package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker"
)

// A format that cannot be read is said at the start, by the name of the setting.
func TestInputsThatCannotBeReadStopTheStart(t *testing.T) {
	_, err := newEngine(worker.EngineImaging, "svg")
	require.ErrorContains(t, err, "INPUTS: svg can be read by the native engine only")
	_, err = abilities(worker.EngineImaging, "pdf", "jxl")
	require.ErrorContains(t, err, "INPUTS: pdf, jxl can be read by the native engine only")
	can, err := abilities(worker.EngineAuto)
	require.NoError(t, err)
	require.False(t, can.Reads("svg") || can.Reads("pdf") || can.Reads("jxl"), "they are off by default")
	_, err = abilities(worker.EngineAuto, "psd")
	require.ErrorContains(t, err, "INPUTS: ")
	cfg := worker.DefaultConfig()
	require.Empty(t, cfg.Inputs)
	cfg.Inputs = []string{"svg", "psd"}
	require.ErrorContains(t, cfg.Validate(), `INPUTS: "psd" is not svg, pdf or jxl`)
}
