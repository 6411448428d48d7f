package imaging_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/imaging"
)

// What this engine cannot make is refused for good, by name, not by a panic.
func TestWhatIsNotKnownIsRefused(t *testing.T) {
	for field, r := range map[string]pipeline.Rendition{
		"renditions[0].format":        {Name: "a", Format: pipeline.AVIF},
		"renditions[0].frame":         {Name: "a", Frame: 2},
		"renditions[0].operations[0]": {Name: "a", Operations: []pipeline.Operation{pipeline.Sepia{Percent: 50}}},
	} {
		p := pipeline.Pipeline{Renditions: []pipeline.Rendition{r}}
		_, err := imaging.New().Render(t.Context(), engine.Job{Source: "nowhere", Dir: t.TempDir(), Pipeline: p})
		assert.Equal(t, fault.Unsupported, fault.KindOf(err), "%v", err)
		assert.Equal(t, field, fault.As(err).Field)
		assert.True(t, engine.Final(err))
	}
}
