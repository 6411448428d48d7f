package imaging

import (
	"image"
	"image/color"
	"image/draw"

	lib "github.com/disintegration/imaging"
)

// view is a part of a picture, turned, of which no pixel has been touched: cuts
// and turns only change what it says. Pixels are worked on when the picture is
// scaled, which does both on the way, or when something else needs them.
type view struct {
	// img is never changed: other renditions start from it too. It is an
	// *image.YCbCr, *image.Gray, *image.NRGBA, *image.Paletted or, until its colours
	// are done, *image.CMYK.
	img image.Image
	// part is what is seen of it, in pixels from its top left corner; where img is
	// a smaller picture of the original, in pixels of the original.
	part image.Rectangle
	turn turn
	// shrink is how many times smaller img is than what part counts in; 0 for the
	// same.
	shrink int
}

// smallView sees the whole of an original of which m shows 1/shrink.
func smallView(m image.Image, shrink int, of image.Point) view {
	return view{img: m, part: image.Rectangle{Max: of}, shrink: shrink}
}

// viewOf sees the whole of a picture.
func viewOf(m image.Image) view {
	return view{img: m, part: image.Rectangle{Max: m.Bounds().Size()}}
}

// size is the size as seen.
func (v view) size() image.Point { return v.turn.size(v.part.Size()) }

// cut sees a part, given as seen now.
func (v view) cut(r image.Rectangle) view {
	v.part = v.turn.stored(r, v.part.Size()).Add(v.part.Min)
	return v
}

// turned turns what is seen.
func (v view) turned(t turn) view {
	v.turn = v.turn.then(t)
	return v
}

// scaled makes a new picture of w×h. planar keeps the colours of a YCbCr at half
// the size, as JPEG wants them; else they get as many pixels as there are.
func (v view) scaled(w, h int, planar bool) image.Image {
	to := v.turn.size(image.Pt(w, h))
	if v.size() == image.Pt(w, h) && v.shrink == 0 {
		return v.picture()
	}
	part := v.window()
	var out image.Image
	switch m := v.img.(type) {
	case *image.YCbCr:
		out = scaleYCbCr(m, part, to.X, to.Y, planar)
	case *image.Gray:
		p := scalePlane(plane{m.Pix, m.Stride, m.Rect.Dx(), m.Rect.Dy()}, part, to.X, to.Y)
		out = &image.Gray{Pix: p.pix, Stride: p.stride, Rect: image.Rectangle{Max: to}}
	default:
		out = scalePixels(pixelsOf(m), part, to.X, to.Y)
	}
	return turnPicture(out, v.turn)
}

// window is the part of img that is seen.
func (v view) window() window {
	f := 1 / float64(max(v.shrink, 1))
	return window{f * float64(v.part.Min.X), f * float64(v.part.Min.Y), f * float64(v.part.Dx()), f * float64(v.part.Dy())}
}

// boxed sees the same in a picture that is no larger than needed, and factor
// times smaller where that can be had; see boxFactor.
func (v view) boxed(factor int) view {
	size := v.img.Bounds().Size()
	if outer := v.window().outer(size.X, size.Y); outer.Size() != size {
		v.img = subImage(v.img, outer.Add(v.img.Bounds().Min))
		v.part = v.part.Sub(outer.Min.Mul(max(v.shrink, 1)))
	}
	if factor < 2 {
		return v
	}
	small, by := boxedImage(v.img, factor)
	if by > 1 {
		v.img, v.shrink = small, max(v.shrink, 1)*by
	}
	return v
}

// picture gives the pixels as seen. They may be those of img.
func (v view) picture() image.Image {
	m := v.img
	if v.shrink > 0 {
		// Plans shrink only what is made smaller anyway, but facts may look at it.
		return v.scaled(v.size().X, v.size().Y, false)
	}
	if v.part.Size() != m.Bounds().Size() {
		m = subImage(m, v.part.Add(m.Bounds().Min))
	}
	return turnPicture(m, v.turn)
}

// subImage cuts without copying.
func subImage(m image.Image, r image.Rectangle) image.Image {
	switch p := m.(type) {
	case *image.YCbCr:
		if _, _, ok := halves(p.SubsampleRatio); ok && r.Min.X%2 == 0 && r.Min.Y%2 == 0 {
			// Its colours begin with a whole pixel: it can begin at (0,0) itself.
			cut := p.SubImage(r).(*image.YCbCr)
			cut.Rect = image.Rectangle{Max: r.Size()}
			return cut
		}
		return pixelsOf(p.SubImage(r))
	case *image.Gray:
		cut := p.SubImage(r).(*image.Gray)
		cut.Rect = image.Rectangle{Max: r.Size()}
		return cut
	case *image.CMYK:
		cut := p.SubImage(r).(*image.CMYK)
		cut.Rect = image.Rectangle{Max: r.Size()}
		return cut
	case *image.NRGBA:
		cut := p.SubImage(r).(*image.NRGBA)
		cut.Rect = image.Rectangle{Max: r.Size()}
		return cut
	case *image.Paletted:
		cut := p.SubImage(r).(*image.Paletted)
		cut.Rect = image.Rectangle{Max: r.Size()}
		return cut
	}
	return lib.Crop(m, r)
}

// turnPicture turns a whole picture that begins at (0,0).
func turnPicture(m image.Image, t turn) image.Image {
	if t == (turn{}) {
		return m
	}
	size := t.size(m.Bounds().Size())
	rect := image.Rectangle{Max: size}
	switch p := m.(type) {
	case *image.Gray:
		out := t.plane(plane{p.Pix, p.Stride, p.Rect.Dx(), p.Rect.Dy()}, 1)
		return &image.Gray{Pix: out.pix, Stride: out.stride, Rect: rect}
	case *image.Paletted:
		out := t.plane(plane{p.Pix, p.Stride, p.Rect.Dx(), p.Rect.Dy()}, 1)
		return &image.Paletted{Pix: out.pix, Stride: out.stride, Rect: rect, Palette: p.Palette}
	case *image.YCbCr:
		if out := turnYCbCr(p, t); out != nil {
			return out
		}
	}
	p := pixelsOf(m)
	out := t.plane(plane{p.Pix, p.Stride, p.Rect.Dx(), p.Rect.Dy()}, 4)
	return &image.NRGBA{Pix: out.pix, Stride: out.stride, Rect: rect}
}

// pixelsOf gives a picture as RGB with alpha, beginning at (0,0); the same one
// when it is that already.
func pixelsOf(m image.Image) *image.NRGBA {
	size := m.Bounds().Size()
	switch p := m.(type) {
	case *image.NRGBA:
		if p.Rect.Min == (image.Point{}) {
			return p
		}
	case *image.RGBA:
		if p.Rect.Min == (image.Point{}) && p.Opaque() {
			return &image.NRGBA{Pix: p.Pix, Stride: p.Stride, Rect: p.Rect}
		}
	case *image.YCbCr, *image.CMYK:
		// The drawing of these is fast, and opaque.
		out := image.NewRGBA(image.Rectangle{Max: size})
		draw.Draw(out, out.Rect, p, p.Bounds().Min, draw.Src)
		return &image.NRGBA{Pix: out.Pix, Stride: out.Stride, Rect: out.Rect}
	case *image.Paletted:
		return fromPalette(p)
	}
	return lib.Clone(m)
}

// fromPalette looks the colours up. Indices beyond the palette are black.
func fromPalette(p *image.Paletted) *image.NRGBA {
	var colors [256][4]uint8
	for i := range colors {
		colors[i][3] = 255
		if i < len(p.Palette) {
			c := color.NRGBAModel.Convert(p.Palette[i]).(color.NRGBA)
			colors[i] = [4]uint8{c.R, c.G, c.B, c.A}
		}
	}
	out := image.NewNRGBA(image.Rectangle{Max: p.Rect.Size()})
	for y := range out.Rect.Max.Y {
		line := out.Pix[y*out.Stride:][:out.Stride]
		for x, v := range p.Pix[y*p.Stride:][:out.Rect.Max.X] {
			copy(line[4*x:], colors[v][:])
		}
	}
	return out
}
