package imaging

import "image"

// grid is the way from the values of a device to sRGB by points that lie near
// enough that a straight line from one to the next is what the eye sees. A point
// is worked out when a picture first comes near it: most have colours in a small
// part of what inks can show.
type grid struct {
	light    func(v [4]float64) [3]float64
	channels int
	n        int // points along a channel
	places   [256]place
	step     [4]int   // from a point to the next one along each channel
	points   []uint64 // three lanes of sRGB each, 0 for one that was not worked out yet
}

// place is where a byte lies along a channel: after a point, by a part of the way
// to the next one.
type place struct {
	at   int
	part uint64
}

// How many points there are along a channel of a device with three and with four,
// and into how many parts the way between two is divided.
const (
	ofColours = 33
	ofInks    = 17
	parts     = 1 << partBits
	partBits  = 8
)

// A lane of laneBits holds a byte of sRGB with five bits behind the point, and has
// room for that times parts.
const (
	fineBits  = 5
	rgbMask   = 1<<(8+fineBits) - 1
	rgbLanes  = rgbMask | rgbMask<<laneBits | rgbMask<<(2*laneBits)
	rgbHalves = (1 | 1<<laneBits | 1<<(2*laneBits)) * (1 << (fineBits - 1 + partBits))
)

// newGrid makes a grid of n points along each channel of a function that gives
// light of sRGB.
func newGrid(channels, n int, light func(v [4]float64) [3]float64) *grid {
	g := &grid{light: light, channels: channels, n: n}
	for v := range g.places {
		at := min(v*(n-1)/255, n-2)
		g.places[v] = place{at, uint64(((v*(n-1)-at*255)*parts + 127) / 255)} //nolint:gosec // at most parts
	}
	size := 1
	for i := channels - 1; i >= 0; i-- {
		g.step[i] = size
		size *= n
	}
	g.points = make([]uint64, size)
	return g
}

// point gives one point.
func (g *grid) point(at int) uint64 {
	if p := g.points[at]; p != 0 {
		return p
	}
	return g.work(at)
}

func (g *grid) work(at int) uint64 {
	var v [4]float64
	for c := range g.channels {
		v[c] = float64(at/g.step[c]%g.n) / float64(g.n-1)
	}
	var p uint64
	for c, l := range g.light(v) {
		p |= uint64(srgb(l)*(1<<fineBits)+0.5) << (c * laneBits)
	}
	g.points[at] = max(p, 1) // a black that is not 0
	return g.points[at]
}

// srgb is the value of 0 to 255 that sRGB has for light.
func srgb(light float64) float64 { return 255 * encodeSRGB(min(max(light, 0), 1)) }

// inks gives the colour of four inks: in a straight line along the first, as
// color gives it along the others.
func (g *grid) inks(c, m, y, k uint8) (uint8, uint8, uint8) {
	p := g.places[c]
	at := p.at * g.step[0]
	sum := g.between(at, 1, m, y, k)
	if p.part > 0 {
		next := g.between(at+g.step[0], 1, m, y, k)
		sum = (sum>>partBits&rgbLanes)*(parts-p.part) + (next>>partBits&rgbLanes)*p.part
	}
	return narrow(sum)
}

// color gives that of three values.
func (g *grid) color(x, y, z uint8) (uint8, uint8, uint8) { return narrow(g.between(0, 0, x, y, z)) }

// narrow gives the bytes of three full lanes.
func narrow(sum uint64) (uint8, uint8, uint8) {
	sum += rgbHalves
	const r = partBits + fineBits
	return uint8(sum >> r), uint8(sum >> (r + laneBits)), uint8(sum >> (r + 2*laneBits)) //nolint:gosec // a lane's upper byte
}

// between goes through the tetrahedron of a cell that three values are in, from
// the corner below to the one above, along the channel first that has the largest
// part; so greys stay grey. The cell's channels are those from first on.
func (g *grid) between(at, first int, x, y, z uint8) uint64 {
	p, q, r := &g.places[x], &g.places[y], &g.places[z]
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
	sum := g.point(at) * (parts - a)
	at += sp
	sum += g.point(at) * (a - b)
	at += sq
	sum += g.point(at) * (b - c)
	return sum + g.point(at+sr)*c
}

// applyInks gives the colours of a picture in four inks.
func (g *grid) applyInks(m *image.CMYK) *image.NRGBA {
	out := image.NewNRGBA(image.Rectangle{Max: m.Rect.Size()})
	var last [4]uint8
	red, green, blue := g.inks(0, 0, 0, 0)
	for y := range out.Rect.Max.Y {
		src, dst := m.Pix[y*m.Stride:][:out.Stride], out.Pix[y*out.Stride:][:out.Stride]
		for len(src) >= 4 && len(dst) >= 4 {
			if c := [4]uint8(src[:4]); c != last {
				last = c
				red, green, blue = g.inks(c[0], c[1], c[2], c[3])
			}
			dst[0], dst[1], dst[2], dst[3] = red, green, blue, 255
			src, dst = src[4:], dst[4:]
		}
	}
	return out
}
