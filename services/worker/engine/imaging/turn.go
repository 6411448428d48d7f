package imaging

import "image"

// turn is one of the eight ways to lay a picture: the pixel (x, y) of what is
// seen is, in the stored picture, (y, x) where swapped, then counted from the
// right where flipX, from the bottom where flipY. The zero turn changes nothing.
type turn struct{ swap, flipX, flipY bool }

// turnOf gives the turn of an EXIF orientation; anything but 2 to 8 is none.
func turnOf(orientation int) turn {
	switch orientation {
	case 2:
		return turn{flipX: true}
	case 3:
		return turn{flipX: true, flipY: true}
	case 4:
		return turn{flipY: true}
	case 5:
		return turn{swap: true}
	case 6:
		return turn{swap: true, flipY: true}
	case 7:
		return turn{true, true, true}
	case 8:
		return turn{swap: true, flipX: true}
	}
	return turn{}
}

// then gives the turn that shows what next makes of what t shows.
func (t turn) then(next turn) turn {
	if t.swap {
		return turn{!next.swap, t.flipX != next.flipY, t.flipY != next.flipX}
	}
	return turn{next.swap, t.flipX != next.flipX, t.flipY != next.flipY}
}

// size gives the size that a stored picture is seen in, and the other way round.
func (t turn) size(s image.Point) image.Point {
	if t.swap {
		return image.Pt(s.Y, s.X)
	}
	return s
}

// stored gives where a rectangle, as seen, lies in a stored picture of a size.
func (t turn) stored(r image.Rectangle, size image.Point) image.Rectangle {
	if t.swap {
		r = image.Rect(r.Min.Y, r.Min.X, r.Max.Y, r.Max.X)
	}
	if t.flipX {
		r.Min.X, r.Max.X = size.X-r.Max.X, size.X-r.Min.X
	}
	if t.flipY {
		r.Min.Y, r.Max.Y = size.Y-r.Max.Y, size.Y-r.Min.Y
	}
	return r
}

// plane turns a plane whose pixels are of so many bytes; stride counts bytes,
// width and height pixels.
func (t turn) plane(p plane, bytes int) plane {
	size := t.size(image.Pt(p.w, p.h))
	out := plane{make([]uint8, size.X*size.Y*bytes), size.X * bytes, size.X, size.Y}
	// The first pixel of a line, and the steps to the next one and the next line.
	first, across, down := 0, bytes, p.stride
	if t.flipX {
		first, across = first+(p.w-1)*bytes, -bytes
	}
	if t.flipY {
		first, down = first+(p.h-1)*p.stride, -p.stride
	}
	if t.swap {
		across, down = down, across
	}
	for y := range size.Y {
		from, line := first+y*down, out.pix[y*out.stride:][:out.stride]
		if bytes == 1 {
			for x := range line {
				line[x] = p.pix[from]
				from += across
			}
			continue
		}
		for len(line) >= 4 {
			copy(line[:4], p.pix[from:from+4])
			line, from = line[4:], from+across
		}
	}
	return out
}
