package smalljpeg

import (
	"image"
	"image/color"
)

// scan decodes the pixels, side×side of each block.
func (d *decoder) scan(side int) image.Image {
	luma := &d.components[0]
	across, down := 8*luma.h, 8*luma.v
	columns, rows := (d.w+across-1)/across, (d.h+down-1)/down
	for i := range d.components {
		c := &d.components[i]
		c.stride = columns * c.h * side
		c.pix = make([]uint8, c.stride*rows*c.v*side)
	}
	done := 0
	for y := range rows {
		for x := range columns {
			if d.restart > 0 && done > 0 && done%d.restart == 0 {
				if !d.next(done/d.restart - 1) {
					return nil
				}
				for i := range d.components {
					d.components[i].predicted = 0
				}
			}
			for i := range d.components {
				c := &d.components[i]
				for j := range c.h * c.v {
					at := ((y*c.v+j/c.h)*c.stride + x*c.h + j%c.h) * side
					if !d.block(c, side, at) {
						return nil
					}
				}
			}
			done++
		}
		if d.overrun() {
			return nil
		}
	}
	return d.picture(side)
}

// picture joins the planes.
func (d *decoder) picture(side int) image.Image {
	shrink := 8 / side
	rect := image.Rect(0, 0, (d.w+shrink-1)/shrink, (d.h+shrink-1)/shrink)
	luma := d.components[0]
	if len(d.components) == 1 {
		return &image.Gray{Pix: luma.pix, Stride: luma.stride, Rect: rect}
	}
	ratio := [4]image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio420,
	}[luma.h-1+2*(luma.v-1)]
	cb, cr := d.components[1], d.components[2]
	colours := &image.YCbCr{Y: luma.pix, Cb: cb.pix, Cr: cr.pix, YStride: luma.stride, CStride: cb.stride, SubsampleRatio: ratio, Rect: rect}
	if len(d.components) == 4 {
		return d.inks(colours)
	}
	return colours
}

// inks joins black to the other three, which are stored as they are or, as an
// Adobe segment says, as YCbCr. All are stored the other way round, 255 for none;
// YCbCr turns red, green and blue, which are that way round as well, into inks.
func (d *decoder) inks(m *image.YCbCr) *image.CMYK {
	out := image.NewCMYK(m.Rect)
	black := d.components[3]
	half := d.components[0].h - 1 // of the size: to be shifted by
	for y := range out.Rect.Max.Y {
		line := out.Pix[y*out.Stride:][:out.Stride]
		first, second, third := m.Y[y*m.YStride:], m.Cb[y>>half*m.CStride:], m.Cr[y>>half*m.CStride:]
		for x, k := range black.pix[y*black.stride:][:out.Rect.Max.X] {
			p := line[4*x : 4*x+4 : 4*x+4]
			a, b, c := first[x], second[x>>half], third[x>>half]
			if d.adobe == 0 {
				p[0], p[1], p[2] = 255-a, 255-b, 255-c
			} else {
				p[0], p[1], p[2] = color.YCbCrToRGB(a, b, c)
			}
			p[3] = 255 - k
		}
	}
	return out
}

// zigzag gives, for each place in the order of the file, where a frequency lies
// in rows of eight.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// lastOf is the last place in the file's order that a frequency below side×side
// has.
var lastOf = [5]int{1: 0, 2: 4, 4: 24}

// block decodes one block and writes its pixels; false for a code that there is
// not.
func (d *decoder) block(c *component, side, at int) bool {
	var f [64]int32
	if d.n < 48 {
		d.fill()
	}
	e := c.dc.look[d.acc>>(64-lookBits)]
	length, size := int(e&0x7f), int(e>>8&0xff)
	if length == 0 {
		var symbol byte
		if symbol, length = c.dc.long(d.acc); length == 0 {
			return false
		}
		size = int(symbol)
	}
	if size > 11 {
		return false
	}
	d.acc <<= length
	if size > 0 {
		c.predicted += extend(int32(d.acc>>(64-size)), size) //nolint:gosec // at most 11 bits
	}
	d.acc <<= size
	d.n -= length + size
	f[0] = c.predicted * c.quant[0]
	last := lastOf[side]
	for k := 1; k < 64; k++ {
		if d.n < 32 {
			d.fill()
		}
		e := c.ac.look[d.acc>>(64-lookBits)]
		if e&direct != 0 {
			length := int(e & 0x7f)
			k += int(e >> 12 & 15)
			d.acc <<= length
			d.n -= length
			if k <= last {
				f[zigzag[k]] = int32(int16(e>>16)) * c.quant[k] //nolint:gosec // the value is signed
			} else if k > 63 {
				return false
			}
			continue
		}
		length, symbol := int(e&0x7f), int(e>>8&0xff)
		if length == 0 {
			var s byte
			if s, length = c.ac.long(d.acc); length == 0 {
				return false
			}
			symbol = int(s)
		}
		size := symbol & 15
		if size == 0 {
			d.acc <<= length
			d.n -= length
			if symbol != 0xf0 {
				break // end of block; what lies between belongs to progressive files
			}
			k += 15
			continue
		}
		k += symbol >> 4
		if k > 63 {
			return false
		}
		d.acc <<= length
		if k <= last {
			f[zigzag[k]] = extend(int32(d.acc>>(64-size)), size) * c.quant[k] //nolint:gosec // at most 15 bits
		}
		d.acc <<= size
		d.n -= length + size
	}
	switch side {
	case 1:
		c.pix[at] = level((f[0] + 4) >> 3)
	case 2:
		two(c.pix[at:], c.stride, &f)
	default:
		four(c.pix[at:], c.stride, &f)
	}
	return true
}

// level moves a value around zero to a byte.
func level(v int32) uint8 {
	v += 128
	if uint32(v) > 255 { //nolint:gosec // negative ones become large
		v = ^(v >> 31)
	}
	return uint8(v) //nolint:gosec // clamped to a byte
}
