package imaging

import (
	"context"
	"image"
	"image/draw"
	"image/gif"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// movie is a decoded animation.
type movie struct{ *gif.GIF }

// movie decodes all frames of a GIF.
func (s *source) movie() (*movie, error) {
	g, err := gif.DecodeAll(s.reader())
	if err != nil {
		return nil, s.damaged(err)
	}
	g.Config.Width, g.Config.Height = s.Width, s.Height
	return &movie{g}, nil
}

// each composes the frames up to the number last, as a viewer shows them, and
// hands out each. The picture is good until the next one.
func (m *movie) each(last int, show func(i int, frame *image.NRGBA) error) error {
	canvas := image.NewNRGBA(image.Rect(0, 0, m.Config.Width, m.Config.Height))
	var before []uint8
	for i, frame := range m.Image {
		if i > last {
			break
		}
		disposal := byte(0)
		if i < len(m.Disposal) {
			disposal = m.Disposal[i]
		}
		if disposal == gif.DisposalPrevious {
			before = append(before[:0], canvas.Pix...)
		}
		draw.Draw(canvas, frame.Rect, fromPalette(frame), image.Point{}, draw.Over)
		if err := show(i, canvas); err != nil {
			return err
		}
		switch disposal {
		case gif.DisposalBackground:
			draw.Draw(canvas, frame.Rect, image.Transparent, image.Point{}, draw.Src)
		case gif.DisposalPrevious:
			copy(canvas.Pix, before)
		}
	}
	return nil
}

// animation makes a rendition of all frames. Each is worked on by itself, but
// cut where the first one is.
func (e *Engine) animation(ctx context.Context, w *work, r pipeline.Rendition) (engine.Rendition, error) {
	out := gif.GIF{Delay: w.movie.Delay, LoopCount: w.movie.LoopCount}
	made := decisions{}
	still := r
	still.Format = pipeline.GIF
	err := w.movie.each(len(w.movie.Image), func(_ int, m *image.NRGBA) error {
		// The picture is only good for now, and a chain may end in a part of it.
		frame := &image.NRGBA{Pix: append([]uint8(nil), m.Pix...), Stride: m.Stride, Rect: m.Rect}
		s, err := w.chain(ctx, w.enters(viewOf(frame), r), still, 0, -1, made)
		if err != nil {
			return err
		}
		p := forGIF(s.finished(), r.Colors)
		out.Image = append(out.Image, p)
		// What shows through must not show the frame before.
		disposal := byte(gif.DisposalNone)
		if !p.Opaque() {
			disposal = gif.DisposalBackground
		}
		out.Disposal = append(out.Disposal, disposal)
		return nil
	})
	if err != nil {
		return engine.Rendition{}, err
	}
	size := out.Image[0].Rect.Size()
	out.Config = image.Config{Width: size.X, Height: size.Y}
	for i := range out.Disposal {
		if i > 0 && out.Disposal[i] == gif.DisposalBackground {
			out.Disposal[i-1] = gif.DisposalBackground
		}
	}
	b := e.buffers.buffer()
	if err := gif.EncodeAll(b, &out); err != nil {
		return engine.Rendition{}, unwritable(err)
	}
	done := result{body: b}
	if err := done.fits(r); err != nil {
		return engine.Rendition{}, err
	}
	return e.write(w.job.Dir, r.Name, pipeline.GIF, size, done)
}
