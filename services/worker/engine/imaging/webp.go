package imaging

import "image"

// fullRange spreads the planes of a WebP, in place, over all values of a byte.
// WebP keeps luma in 16 to 235 and colours in 16 to 240; the decoder leaves them
// so, while everything that works on image.YCbCr takes them for those of a JPEG.
func fullRange(m *image.YCbCr) {
	var luma, colour [256]uint8
	for i := range luma {
		luma[i] = spreadByte(float64(i-16) * 255 / 219)
		colour[i] = spreadByte(float64(i-128)*255/224 + 128)
	}
	for i, v := range m.Y {
		m.Y[i] = luma[v]
	}
	for i, v := range m.Cb {
		m.Cb[i] = colour[v]
	}
	for i, v := range m.Cr {
		m.Cr[i] = colour[v]
	}
}

func spreadByte(v float64) uint8 { return uint8(min(max(v+0.5, 0), 255)) }
