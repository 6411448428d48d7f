package imaging

import (
	"fmt"

	"imagemill/internal/fault"
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

// refused names what of a pipeline this engine cannot make, before anything is
// read: what Abilities do not have, and ways of writing that the encoders of Go
// do not know.
func refused(p pipeline.Pipeline) error {
	if err := Abilities().Check(p); err != nil {
		return err
	}
	for i, r := range p.Renditions {
		field, why := "", ""
		switch {
		case r.Progressive:
			field, why = "progressive", "progressive JPEG cannot be written here; leave it out for baseline"
		case r.Chroma == pipeline.Chroma444:
			field, why = "chroma", "chroma 444 cannot be written here; 420 can"
		case r.Lossless:
			field, why = "lossless", "the formats that have a lossless way cannot be written here; png and tiff are lossless"
		default:
			continue
		}
		return fault.New(fault.Unsupported, why).WithField(fmt.Sprintf("renditions[%d].%s", i, field))
	}
	return nil
}
