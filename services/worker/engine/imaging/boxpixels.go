package imaging

import "image"

// boxedPixels averages squares of factor×factor pixels of four bytes each, as
// boxed does for planes.
func boxedPixels(m *image.NRGBA, factor int) *image.NRGBA {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	out := image.NewNRGBA(image.Rect(0, 0, (w+factor-1)/factor, (h+factor-1)/factor))
	words := w / 2
	even, odd := make([]uint64, words), make([]uint64, words)
	sums := make([]uint16, 4*w)
	for y := range out.Rect.Max.Y {
		top := y * factor
		rows := min(factor, h-top)
		if words > 0 {
			addRows(even, odd, m.Pix[top*m.Stride:], m.Stride, rows)
			spread(sums, even, odd)
		}
		if w%2 == 1 {
			last := sums[4*w-4:]
			clear(last)
			for r := top; r < top+rows; r++ {
				for i, v := range m.Pix[r*m.Stride+4*w-4:][:4] {
					last[i] += uint16(v)
				}
			}
		}
		averagePixels(out.Pix[y*out.Stride:][:out.Stride], sums, factor, rows)
	}
	return out
}

// averagePixels adds up factor pixels each and divides by their number.
func averagePixels(out []uint8, sums []uint16, factor, rows int) {
	for len(out) >= 4 && len(sums) >= 4 {
		n := min(4*factor, len(sums))
		count := uint32(n / 4 * rows) //nolint:gosec // at most maxBox squared
		r, g, b, a := count/2, count/2, count/2, count/2
		for s := sums[:n]; len(s) >= 4; s = s[4:] {
			r, g, b, a = r+uint32(s[0]), g+uint32(s[1]), b+uint32(s[2]), a+uint32(s[3])
		}
		//nolint:gosec // means of bytes
		out[0], out[1], out[2], out[3] = uint8(r/count), uint8(g/count), uint8(b/count), uint8(a/count)
		out, sums = out[4:], sums[n:]
	}
}

// boxedImage averages squares of at most factor×factor pixels, as many as the
// picture's kind allows, and says how many: colours at half the size are boxed to
// that of the luma, and what is transparent is not boxed.
func boxedImage(m image.Image, factor int) (image.Image, int) {
	switch p := m.(type) {
	case *image.Gray:
		out := boxed(plane{p.Pix, p.Stride, p.Rect.Dx(), p.Rect.Dy()}, factor)
		return &image.Gray{Pix: out.pix, Stride: out.stride, Rect: image.Rect(0, 0, out.w, out.h)}, factor
	case *image.CMYK:
		out := boxedPixels(&image.NRGBA{Pix: p.Pix, Stride: p.Stride, Rect: p.Rect}, factor)
		return &image.CMYK{Pix: out.Pix, Stride: out.Stride, Rect: out.Rect}, factor
	case *image.YCbCr:
		fx, fy, _ := halves(p.SubsampleRatio)
		if fx != fy {
			break
		}
		factor -= factor % fx
		out := planes(p)
		out[0] = boxed(out[0], factor)
		for i := 1; i < 3; i++ {
			if by := factor / fx; by > 1 {
				out[i] = boxed(out[i], by)
			}
		}
		return joined(out, image.YCbCrSubsampleRatio444), factor
	}
	n := pixelsOf(m)
	if !n.Opaque() {
		return n, 1
	}
	return boxedPixels(n, factor), factor
}
