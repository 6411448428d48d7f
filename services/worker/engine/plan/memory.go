package plan

import "imagemill/services/worker/engine"

// base is what an engine's process takes before it has a picture, in bytes.
const base = 24 << 20

// memory estimates the most memory that a plan needs at a time.
func memory(p Plan, shapes []shape, original engine.Picture) int64 {
	pixel := int64(max(original.Bands, 1) * max(original.Depth, 8) / 8)
	total := base + int64(p.Width)*int64(p.Height)*pixel*int64(max(original.Frames, 1))
	largest := int64(0)
	for _, s := range shapes {
		for _, step := range s.sizes[1:] {
			largest = max(largest, 2*4*step.Pixels())
		}
	}
	return total + largest
}
