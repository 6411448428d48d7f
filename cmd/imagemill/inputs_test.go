package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker"
)

// A format that cannot be read is said at the start, by the name of the setting.
func TestInputsThatCannotBeReadStopTheStart(t *testing.T) {
	cfg := worker.DefaultConfig()
	require.Empty(t, cfg.Inputs, "they are off by default")
	cfg.Inputs = []string{"svg", "psd"}
	require.ErrorContains(t, cfg.Validate(), `INPUTS: "psd" is not svg, pdf or jxl`)
	cfg.Engine, cfg.Inputs = worker.EngineImaging, []string{"pdf", "jxl"}
	require.NoError(t, cfg.Validate())
	_, _, err := enginePool(cfg)
	require.ErrorContains(t, err, "INPUTS: pdf, jxl can be read by the native engine only")
}
