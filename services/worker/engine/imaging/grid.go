package imaging

import "image"

// grid is the way from the values of a device to sRGB, worked out at points that
// lie near enough that a straight line from one to the next is what the eye sees.
type grid struct {
	places [256]place
	step   [4]int   // from a point to the next one along each channel
	points []uint16 // three values of sRGB each
}

// place is where a byte lies along a channel: after a point, by a part of the way
// to the next one.
type place struct{ at, part int }

// How many points there are along a channel of a device with three and with four,
// and into how many parts the way between two is divided.
const (
	ofColours = 33
	ofInks    = 17
	parts     = 1 << 14
)

// newGrid works out a grid of a function that gives light of sRGB.
func newGrid(channels, n int, light func(v [4]float64) [3]float64) *grid {
	g := &grid{}
	for v := range g.places {
		at := min(v*(n-1)/255, n-2)
		g.places[v] = place{at, (v*(n-1) - at*255) * parts / 255}
	}
	size := 3
	for i := channels - 1; i >= 0; i-- {
		g.step[i] = size
		size *= n
	}
	g.points = make([]uint16, 0, size)
	for i := range size / 3 {
		var v [4]float64
		for c := range channels {
			v[c] = float64(i*3/g.step[c]%n) / float64(n-1)
		}
		for _, l := range light(v) {
			g.points = append(g.points, srgb(l))
		}
	}
	return g
}

// inks gives the colour of four inks: between two greys of the first, as colour
// gives those of the others.
func (g *grid) inks(c, m, y, k uint8) (uint8, uint8, uint8) {
	p := g.places[c]
	at := p.at * g.step[0]
	r, gr, b := g.between(at, 1, m, y, k)
	if p.part > 0 {
		r2, gr2, b2 := g.between(at+g.step[0], 1, m, y, k)
		r, gr, b = r+(r2-r)*p.part/parts, gr+(gr2-gr)*p.part/parts, b+(b2-b)*p.part/parts
	}
	return narrow(r), narrow(gr), narrow(b)
}

// color gives that of three values.
func (g *grid) color(x, y, z uint8) (uint8, uint8, uint8) {
	r, gr, b := g.between(0, 0, x, y, z)
	return narrow(r), narrow(gr), narrow(b)
}

// narrow is a byte of sRGB for 16 bits of it.
func narrow(v int) uint8 { return uint8((v*255 + 32767) / 65535) } //nolint:gosec // between two of 16 bits

// between goes through the tetrahedron of a cell that three values are in; the
// cell's channels are those from first on.
func (g *grid) between(at, first int, x, y, z uint8) (red, green, blue int) {
	p, q, r := g.places[x], g.places[y], g.places[z]
	sp, sq, sr := g.step[first], g.step[first+1], g.step[first+2]
	at += p.at*sp + q.at*sq + r.at*sr
	a, b, c := p.part, q.part, r.part
	if a < b {
		a, b, sp, sq = b, a, sq, sp
	}
	if b < c {
		b, c, sq, sr = c, b, sr, sq
	}
	if a < b {
		a, b, sp, sq = b, a, sq, sp
	}
	for _, corner := range [4][2]int{{0, parts - a}, {sp, a - b}, {sq, b - c}, {sr, c}} {
		at += corner[0]
		n := g.points[at : at+3 : at+3]
		red, green, blue = red+int(n[0])*corner[1], green+int(n[1])*corner[1], blue+int(n[2])*corner[1]
	}
	return red / parts, green / parts, blue / parts
}

// applyInks gives the colours of a picture in four inks.
func (g *grid) applyInks(m *image.CMYK) *image.NRGBA {
	out := image.NewNRGBA(image.Rectangle{Max: m.Rect.Size()})
	last := [4]uint8{1, 2, 3, 4}
	r, gr, b := g.inks(1, 2, 3, 4)
	for y := range out.Rect.Max.Y {
		src, dst := m.Pix[y*m.Stride:][:out.Stride], out.Pix[y*out.Stride:][:out.Stride]
		for len(src) >= 4 && len(dst) >= 4 {
			if c := [4]uint8(src[:4]); c != last {
				last = c
				r, gr, b = g.inks(c[0], c[1], c[2], c[3])
			}
			dst[0], dst[1], dst[2], dst[3] = r, gr, b, 255
			src, dst = src[4:], dst[4:]
		}
	}
	return out
}
