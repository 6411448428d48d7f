package plan

import (
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// A drawing is rendered in the size that each rendition needs, which continues from
// no other, within bounds.
func TestScalesOfDrawings(t *testing.T) {
	svg := engine.Picture{Format: "svg", Width: 60, Height: 40, Orientation: 1, Frames: 1, Alpha: true, Bands: 4, Depth: 8}
	plan := func(document string, o engine.Picture) (Plan, map[int]float64) {
		parsed, err := pipeline.Parse([]byte(document))
		require.NoError(t, err)
		p, err := Make(parsed, o, native())
		require.NoError(t, err)
		scales := map[int]float64{}
		for _, s := range p.Steps {
			scales[s.Rendition] = s.Scale
		}
		return p, scales
	}
	p, scales := plan(`{"renditions":[{"name":"a","operations":[{"op":"resize","width":30}]},{"name":"b","operations":[{"op":"resize","width":600}]},`+
		`{"name":"c"},{"name":"d","operations":[{"op":"flip","horizontal":true},{"op":"resize","width":600}]},`+
		`{"name":"e","operations":[{"op":"crop","width":6,"height":4},{"op":"resize","width":60}]}]}`, svg)
	require.Equal(t, 10.0, scales[1])
	require.Equal(t, 1.0, scales[2])
	require.Equal(t, 1.0, scales[3], "what is done before the first resize is meant in its own pixels")
	require.Equal(t, 10.0, scales[4])
	require.Contains(t, []float64{0.5, 10}, scales[0], "its own, or that of the one it continues from")
	require.Equal(t, [2]int{600, 400}, [2]int{p.Width, p.Height})
	require.Equal(t, 1, p.Shrink)

	// A tiny part at a giant size does not draw all around it at that size.
	p, _ = plan(`{"renditions":[{"operations":[{"op":"crop","width":1,"height":1},{"op":"resize","width":5000}]}]}`, svg)
	require.LessOrEqual(t, area(p.Width, p.Height), 2*area(5001, 5001))
	small, _ := plan(`{"renditions":[{"operations":[{"op":"resize","width":300}]}]}`, svg)
	require.Greater(t, p.Memory, small.Memory+100<<20)

	svg.Width, svg.Height = 90_000, 10
	p, _ = plan(`{"renditions":[{"operations":[{"op":"resize","width":16000}]}]}`, svg)
	require.LessOrEqual(t, p.Width, maxDrawn)
	_, scales = plan(`{"renditions":[{"operations":[{"op":"resize","width":30}]}]}`, engine.Picture{Format: "png", Width: 60, Height: 40, Orientation: 1, Frames: 1})
	require.Zero(t, scales[0])
}
