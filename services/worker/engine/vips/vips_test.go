//go:build vips

package vips_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/vips"
)

func newEngine(t testing.TB) *vips.Engine {
	e, err := vips.New()
	require.NoError(t, err)
	return e
}

func TestConformance(t *testing.T) {
	can, err := vips.Abilities()
	require.NoError(t, err)
	enginetest.Run(t, newEngine(t))
	enginetest.Conform(t, newEngine(t), can)
}

// What the abilities say of AVIF has been tried, and works.
func TestAVIFIsTriedBeforeItIsPromised(t *testing.T) {
	can, err := vips.Abilities()
	require.NoError(t, err)
	if !can.Has(pipeline.AVIF) || !can.Reads("avif") {
		if os.Getenv("IMAGEMILL_CI") == "1" {
			t.Fatal("the codecs of AVIF are not installed")
		}
		t.Skip("the codecs of AVIF are not installed")
	}
	s := enginetest.Suite{Engine: newEngine(t)}
	report, err := s.Render(t, enginetest.PNG(t, enginetest.Quadrants(48, 32)), `{"renditions":[{"format":"avif"}]}`)
	require.NoError(t, err)
	again, err := s.RenderFile(t, report.Renditions[0].File, "", engine.Limits{})
	require.NoError(t, err)
	require.Equal(t, "avif", again.Original.Format)
	require.Equal(t, 48, again.Renditions[0].Width)
}
