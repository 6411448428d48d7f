package imaging

import (
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// Abilities is what this engine can do.
func Abilities() engine.Abilities {
	return engine.Abilities{
		Engine:    Name,
		In:        []string{"jpeg", "png", "gif", "webp", "tiff", "bmp"},
		Out:       []pipeline.Format{pipeline.JPEG, pipeline.PNG, pipeline.GIF, pipeline.TIFF},
		Shrinks:   []string{"jpeg"},
		Animation: true, Metadata: true, Collected: true,
	}
}
