package engine

import (
	"errors"
	"fmt"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
)

// Final reports whether err is the picture's or the pipeline's own fault, so
// that another attempt would fail in the same way.
func Final(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Unsupported, fault.Unprocessable, fault.TooLarge:
		return true
	default:
		return false
	}
}

// Death is the cause inside the error of a process that died, or had to be
// killed, while it worked on a picture.
type Death struct {
	// Reason says how: "the engine was killed after 1m0s".
	Reason string
	// Stderr is the last that the process said, for the log.
	Stderr string
}

// Error gives reason and last words.
func (d *Death) Error() string {
	if d.Stderr == "" {
		return d.Reason
	}
	return d.Reason + ": " + d.Stderr
}

// Dead makes the error of a death: kind Unavailable, the reason as its public
// sentence, true to Died.
func Dead(reason, stderr string) error {
	return fault.Wrap(fault.Unavailable, reason, &Death{Reason: reason, Stderr: stderr})
}

// Died reports whether err is the death of an engine's process.
func Died(err error) bool {
	var d *Death
	return errors.As(err, &d)
}

// CheckInput refuses an original by what its header says, before anything is
// decoded. name is the format as people write it.
func (l Limits) CheckInput(name string, p Picture) error {
	l = l.WithDefaults()
	switch {
	case p.Width < 1 || p.Height < 1:
		return fault.Newf(fault.Unprocessable, "the %s has no pixels: its header says %d×%d", name, p.Width, p.Height)
	case max(p.Width, p.Height) > l.InputSide:
		return fault.Newf(fault.TooLarge, "the picture is %d×%d pixels; a side may have at most %d", p.Width, p.Height, l.InputSide)
	case int64(p.Width)*int64(p.Height) > l.InputPixels:
		return fault.Newf(fault.TooLarge, "the picture is %d×%d pixels; at most %s are allowed", p.Width, p.Height, millions(l.InputPixels))
	case p.Frames > l.Frames:
		return fault.Newf(fault.TooLarge, "the animation has more than %d frames; that is the most allowed", l.Frames)
	case p.Frames > 1 && int64(p.Width)*int64(p.Height)*int64(p.Frames) > l.InputPixels:
		return fault.Newf(fault.TooLarge, "the animation has %d frames of %d×%d pixels; at most %s are allowed, all frames together",
			p.Frames, p.Width, p.Height, millions(l.InputPixels))
	}
	return nil
}

// CheckOutput plans every rendition and refuses what would become too large,
// before a pixel is touched. Its errors name the operation. On the way to a
// small result a step may be as large as the original is.
func (l Limits) CheckOutput(pl pipeline.Pipeline, p Picture) error {
	l = l.WithDefaults()
	for i, r := range pl.Renditions {
		path := fmt.Sprintf("renditions[%d].", i)
		plan, err := r.Plan(p.Width, p.Height, p.Orientation)
		if wrong, ok := errors.AsType[*pipeline.Error](err); ok {
			return fault.New(fault.Unprocessable, wrong.Message).WithField(path + wrong.Path)
		} else if err != nil {
			return fmt.Errorf("plan rendition %s: %w", r.Name, err)
		}
		for j, s := range plan {
			if err := l.checkStep(s, plan[0], j == len(plan)-1); err != nil {
				return err.WithField(path + s.Path)
			}
		}
	}
	return nil
}

// CheckRest refuses what would become too large behind a trim, whose result is
// known from the pixels only: a thin rest that is brought to a width becomes very
// high. rest is what [pipeline.Rendition.PlanFrom] gave for the rendition of that
// index. Its errors name the operation.
func (l Limits) CheckRest(rendition int, rest pipeline.Plan) error {
	l = l.WithDefaults()
	for i, s := range rest {
		if err := l.checkStep(s, rest[0], i == len(rest)-1); err != nil {
			return err.WithField(fmt.Sprintf("renditions[%d].%s", rendition, s.Path))
		}
	}
	return nil
}

// checkStep refuses one step of a plan that begins with start.
func (l Limits) checkStep(s, start pipeline.Step, last bool) *fault.Error {
	side, startSide := max(s.Width, s.Height), max(start.Width, start.Height)
	switch {
	case side > l.Side && (last || side > startSide):
		return fault.Newf(fault.TooLarge, "the result would be %d×%d pixels; a side may have at most %d", s.Width, s.Height, l.Side)
	case s.Pixels() > l.OutputPixels && (last || s.Pixels() > start.Pixels()):
		return fault.Newf(fault.TooLarge, "the result would be %d×%d pixels; at most %s are allowed", s.Width, s.Height, millions(l.OutputPixels))
	}
	return nil
}

// millions writes a number of pixels as people say it.
func millions(n int64) string {
	if n < 1_000_000 {
		return fmt.Sprintf("%d pixels", n)
	}
	return fmt.Sprintf("%g million pixels", float64(n)/1e6)
}
