package imaging

import (
	"context"
	"fmt"
	"image"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/exif"
	"imagemill/services/worker/engine/facts"
	"imagemill/services/worker/engine/plan"
)

// work is a job with its original decoded.
type work struct {
	engine.Picture
	job     engine.Job
	limits  engine.Limits
	plan    plan.Plan
	stills  map[int]image.Image // decoded frames, by number
	small   image.Image         // the only frame at 1/plan.Shrink; stills then has none
	movie   *movie              // nil unless all frames are needed
	colours *transform          // into sRGB, nil when they are that already
	exif    []byte              // the original's own block
	block   exif.Block          // the same, read
	mark    func(pipeline.Asset) (*image.NRGBA, error)
	// firsts are the pictures after the first resize that others continue from.
	firsts map[int]scene
}

// load checks the original and decodes it.
func load(ctx context.Context, job engine.Job, limits engine.Limits) (*work, error) {
	if err := Abilities().Check(job.Pipeline); err != nil {
		return nil, err
	}
	src, err := open(job, limits.Frames)
	if err != nil {
		return nil, err
	}
	defer src.done()
	if err := limits.CheckInput(src.format.Name(), src.Picture); err != nil {
		return nil, err
	}
	if err := limits.CheckOutput(job.Pipeline, src.Picture); err != nil {
		return nil, err
	}
	if err := checkFrames(job.Pipeline, src.Picture, limits); err != nil {
		return nil, err
	}
	if err := expired(ctx); err != nil {
		return nil, err
	}
	w := &work{Picture: src.Picture, job: job, limits: limits, exif: src.exif, block: src.block, mark: marks(job, limits), firsts: map[int]scene{}}
	if w.plan, err = plan.Make(job.Pipeline, src.Picture, Abilities()); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if err := w.decode(src); err != nil {
		return nil, err
	}
	return w, nil
}

// decode reads all frames that the renditions need.
func (w *work) decode(src *source) error {
	w.stills = map[int]image.Image{}
	whole := false
	for _, r := range w.job.Pipeline.Renditions {
		whole = whole || r.Frame > 0 || keepsFrames(r, src.Picture)
	}
	if !whole {
		if w.small = src.smallDecode(w.plan.Shrink); w.small != nil {
			w.colours = src.colours(w.small)
			return nil
		}
		m, err := src.decode()
		if err != nil {
			return err
		}
		w.stills[0], w.colours = m, src.colours(m)
		return nil
	}
	var err error
	w.movie, err = src.movie()
	return err
}

// facts tells what the pipeline asks for of the original.
func (w *work) facts() (*engine.Facts, error) {
	want := w.job.Pipeline.Describe
	if !facts.Needs(want) {
		return facts.Make(want, nil, w.block), nil
	}
	v, err := w.frame(0)
	if err != nil {
		return nil, err
	}
	s := w.enters(v, pipeline.Rendition{})
	size := s.size()
	if max(size.X, size.Y) > facts.Side {
		to := image.Pt(pipeline.Resize{Width: facts.Side, Height: facts.Side}.Within(size.X, size.Y))
		s = s.colouredFor(to)
		s = s.shows(s.scaled(to.X, to.Y, false))
	}
	return facts.Make(want, s.finished(), w.block), nil
}

// keepsFrames reports whether a rendition is an animation. Those of other formats
// than GIF cannot be decoded here: they are their first picture.
func keepsFrames(r pipeline.Rendition, p engine.Picture) bool {
	gif := r.Format == pipeline.GIF || r.Format == pipeline.Auto || r.Format == pipeline.Same
	return r.Animated && p.Frames > 1 && p.Format == "gif" && gif
}

// checkFrames refuses a frame that is not there, and animations with too many
// pixels in all frames together.
func checkFrames(p pipeline.Pipeline, original engine.Picture, limits engine.Limits) error {
	for i, r := range p.Renditions {
		path := fmt.Sprintf("renditions[%d].", i)
		if r.Frame >= original.Frames {
			return fault.Newf(fault.Unprocessable, "there is no frame %d; the picture has %d, counted from 0", r.Frame, original.Frames).WithField(path + "frame")
		}
		if !keepsFrames(r, original) {
			if r.Frame > 0 {
				if err := checkSum(original.Width, original.Height, original.Frames, limits.InputPixels, path+"frame"); err != nil {
					return err
				}
			}
			continue
		}
		if err := checkSum(original.Width, original.Height, original.Frames, limits.InputPixels, path+"animated"); err != nil {
			return err
		}
		sizes, err := r.Plan(original.Width, original.Height, original.Orientation)
		if err != nil {
			return fmt.Errorf("plan rendition %s: %w", r.Name, err)
		}
		end := sizes.Result()
		if err := checkSum(end.Width, end.Height, original.Frames, limits.OutputPixels, path+"animated"); err != nil {
			return err
		}
	}
	return nil
}

func checkSum(w, h, frames int, most int64, path string) error {
	if int64(w)*int64(h) <= most/int64(frames) {
		return nil
	}
	return fault.Newf(fault.TooLarge, "the animation is %d frames of %d×%d pixels; at most %d pixels in all are allowed", frames, w, h, most).WithField(path)
}
