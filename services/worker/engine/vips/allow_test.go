//go:build vips

package vips

import (
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/sniff"
)

// A format that is switched on lets its one loader loose and nothing else, however
// often; another one stays blocked.
func TestOnlyTheLoaderThatIsMeantIsLetLoose(t *testing.T) {
	require.NoError(t, start())
	for range 2 {
		for _, f := range Switched() {
			if err := allow([]sniff.Format{f}); err != nil {
				t.Log(err)
				require.ErrorContains(t, err, "was built without what reads "+f.Name())
				continue
			}
			require.True(t, known(loaders[f].operation))
			can, err := Abilities(f)
			require.NoError(t, err)
			require.True(t, can.Reads(string(f)))
		}
		for _, operation := range []string{
			"svgload", "svgload_buffer", "pdfload", "pdfload_buffer", "jxlload", "magickload", "magickload_buffer", "openslideload",
			"matload", "csvload", "rawload", "vipsload", "ppmload", "fitsload", "jp2kload_source",
		} {
			require.False(t, known(operation), operation)
		}
		require.True(t, known("jxlsave_buffer") == known("jxlload_buffer"), "what is written is read again, for its likeness")
	}
	can, err := Abilities()
	require.NoError(t, err)
	for _, f := range Switched() {
		require.False(t, can.Reads(string(f)), "what another engine of the process reads is not this one's")
	}
	require.Error(t, allow([]sniff.Format{sniff.PSD}))
}
