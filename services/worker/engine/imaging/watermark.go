package imaging

import (
	"fmt"
	"image"

	lib "github.com/disintegration/imaging"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/draw"
)

// watermark lays another picture over this one.
func (s scene) watermark(o pipeline.Watermark) (scene, error) {
	mark, err := s.mark(o.Asset())
	if err != nil {
		return s, err
	}
	size := s.size()
	if w, h := draw.Scaled(o, size.X, mark.Rect.Dx(), mark.Rect.Dy()); w != mark.Rect.Dx() || h != mark.Rect.Dy() {
		if int64(w)*int64(h) > engine.DefaultOutputPixels {
			return s, fault.Newf(fault.TooLarge, "the watermark would be %d×%d pixels; at most 50 million pixels are allowed", w, h)
		}
		mark = scalePixels(mark, window{0, 0, float64(mark.Rect.Dx()), float64(mark.Rect.Dy())}, w, h)
	}
	layer, at := draw.Layer(o, mark, size.X, size.Y)
	out := lib.Clone(s.picture())
	draw.Over(out, layer, at)
	return s.shows(out), nil
}

// marks decodes the watermarks of a job, each once.
func marks(job engine.Job, limits engine.Limits) func(pipeline.Asset) (*image.NRGBA, error) {
	decoded := map[pipeline.Asset]*image.NRGBA{}
	return func(a pipeline.Asset) (*image.NRGBA, error) {
		if m := decoded[a]; m != nil {
			return m, nil
		}
		if _, ok := job.Assets[a.Key()]; !ok {
			return nil, fault.Newf(fault.Unprocessable, "the watermark %s is not there", a.Key())
		}
		m, err := decodeMark(job, a.Key(), limits)
		if err != nil {
			e := fault.As(err)
			return nil, fault.Wrap(e.Kind, "the watermark cannot be used: "+e.Public, fmt.Errorf("decode watermark %s: %w", a.Key(), err))
		}
		decoded[a] = m
		return m, nil
	}
}

// decodeMark reads a watermark upright.
func decodeMark(job engine.Job, key string, limits engine.Limits) (*image.NRGBA, error) {
	file, done, err := job.Asset(key)
	if err != nil {
		return nil, err
	}
	src, err := read(file, done, limits.Frames)
	if err != nil {
		return nil, err
	}
	defer src.done()
	if err := limits.CheckInput(src.format.Name(), src.Picture); err != nil {
		return nil, err
	}
	m, err := src.decode()
	if err != nil {
		return nil, err
	}
	return pixelsOf(viewOf(m).turned(turnOf(src.Orientation)).picture()), nil
}
