package imaging

import "image"

// halves says how many times smaller the colours of a YCbCr are than its luma,
// across and down; ok is false for the ratios that only old cameras have.
func halves(ratio image.YCbCrSubsampleRatio) (x, y int, ok bool) {
	switch ratio {
	case image.YCbCrSubsampleRatio444:
		return 1, 1, true
	case image.YCbCrSubsampleRatio422:
		return 2, 1, true
	case image.YCbCrSubsampleRatio420:
		return 2, 2, true
	case image.YCbCrSubsampleRatio440:
		return 1, 2, true
	default:
		return 0, 0, false
	}
}

// planes gives the three planes of a YCbCr that begins at (0,0).
func planes(m *image.YCbCr) [3]plane {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	fx, fy, _ := halves(m.SubsampleRatio)
	cw, ch := (w+fx-1)/fx, (h+fy-1)/fy
	return [3]plane{{m.Y, m.YStride, w, h}, {m.Cb, m.CStride, cw, ch}, {m.Cr, m.CStride, cw, ch}}
}

// joined makes a YCbCr of planes.
func joined(p [3]plane, ratio image.YCbCrSubsampleRatio) *image.YCbCr {
	return &image.YCbCr{
		Y: p[0].pix, Cb: p[1].pix, Cr: p[2].pix, YStride: p[0].stride, CStride: p[1].stride,
		SubsampleRatio: ratio, Rect: image.Rect(0, 0, p[0].w, p[0].h),
	}
}

// scaleYCbCr scales each plane by itself: the full-size picture never becomes
// RGB. An unusual ratio does.
func scaleYCbCr(m *image.YCbCr, part window, w, h int, planar bool) image.Image {
	fx, fy, ok := halves(m.SubsampleRatio)
	if !ok {
		return scalePixels(pixelsOf(m), part, w, h)
	}
	cw, ch, ratio := w, h, image.YCbCrSubsampleRatio444
	if planar {
		cw, ch, ratio = (w+1)/2, (h+1)/2, image.YCbCrSubsampleRatio420
	}
	p := planes(m)
	// The colours of an odd side reach half a pixel further.
	small := window{part.x / float64(fx), part.y / float64(fy), part.w / float64(fx), part.h / float64(fy)}
	if planar {
		small.w *= float64(2*cw) / float64(w)
		small.h *= float64(2*ch) / float64(h)
	}
	p[0] = scalePlane(p[0], part, w, h)
	for i := 1; i < 3; i++ {
		p[i] = scalePlane(p[i], small, cw, ch)
	}
	return joined(p, ratio)
}

// turnYCbCr turns the planes; nil where the colours would not lie right.
func turnYCbCr(m *image.YCbCr, t turn) image.Image {
	fx, fy, ok := halves(m.SubsampleRatio)
	if !ok || m.Rect.Dx()%fx != 0 && t.flipX || m.Rect.Dy()%fy != 0 && t.flipY {
		return nil
	}
	ratio := m.SubsampleRatio
	if t.swap && fx != fy {
		ratio = image.YCbCrSubsampleRatio422 + image.YCbCrSubsampleRatio440 - ratio
	}
	p := planes(m)
	for i := range p {
		p[i] = t.plane(p[i], 1)
	}
	return joined(p, ratio)
}
