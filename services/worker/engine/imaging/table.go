package imaging

import "encoding/binary"

// table is a tag of a profile that leads from a device's values to colours by a
// grid of samples: lut8, lut16 or lutAToB. It looks into the profile's bytes, of
// which reading it has checked that they are there, and copies none.
type table struct {
	in     int          // channels, 1, 3 or 4
	enter  [4]curve     // nil for none
	points [4]int       // of the grid along each channel; all 0 for no grid
	step   [4]int       // from a point to the next one along each channel, in samples
	grid   []byte       // three samples a point, the last channel's points side by side
	wide   bool         // samples have two bytes
	middle [3]curve     // nil for none
	matrix *[12]float64 // nil for none
	leave  [3]curve
	lab    bool // the result is in CIE L*a*b*, else XYZ, both under D50
	old    bool // of L*a*b* in the encoding of 16 bits in which 0xff00 is 100
}

// readTable reads the way from a device of so many channels to colours, as it is
// for pictures: perceptual, which is what the native engine asks for, else the one
// after it. It gives nil where there is none and where it cannot be followed.
func readTable(b []byte, in int) *table {
	tag := profileTag(b, "A2B0")
	if tag == nil {
		tag = profileTag(b, "A2B1")
	}
	space := string(b[20:24])
	if len(tag) < 32 || space != "Lab " && space != "XYZ " || int(tag[8]) != in || tag[9] != 3 {
		return nil
	}
	t := &table{in: in, lab: space == "Lab "}
	ok := false
	switch string(tag[:4]) {
	case "mft1":
		ok = t.readSamples(tag, 48, 256, 256)
	case "mft2":
		if len(tag) >= 52 {
			t.wide, t.old = true, t.lab
			ok = t.readSamples(tag, 52, int(binary.BigEndian.Uint16(tag[48:])), int(binary.BigEndian.Uint16(tag[50:])))
		}
	case "mAB ":
		ok = t.readStages(tag)
	}
	if !ok {
		return nil
	}
	return t
}

// readSamples reads a lut8 or lut16: curves of samples before and after a grid
// that has as many points along each channel. Their matrix is for devices that
// measure XYZ, which no picture does.
func (t *table) readSamples(tag []byte, at, before, after int) bool {
	if before < 2 || after < 2 || before > 4096 || after > 4096 {
		return false
	}
	for i := range t.in {
		t.points[i] = int(tag[10])
	}
	rest := tag[min(at, len(tag)):]
	for i := range t.in {
		if t.enter[i], rest = t.samples(rest, before); t.enter[i] == nil {
			return false
		}
	}
	if rest = t.readGrid(rest); rest == nil {
		return false
	}
	for i := range t.leave {
		if t.leave[i], rest = t.samples(rest, after); t.leave[i] == nil {
			return false
		}
	}
	return true
}

// samples is a curve of n samples, and what follows it; nil where they are not
// all there.
func (t *table) samples(b []byte, n int) (curve, []byte) {
	size := n
	if t.wide {
		size *= 2
	}
	if len(b) < size {
		return nil, nil
	}
	wide, own := t.wide, b[:size]
	return func(v float64) float64 {
		low, part := split(v, n)
		return sample(own, low, wide)*(1-part) + sample(own, low+1, wide)*part
	}, b[size:]
}

// readGrid takes the samples of the grid whose points are known, and gives what
// follows them; nil where they are not all there.
func (t *table) readGrid(b []byte) []byte {
	size := 3
	if t.wide {
		size *= 2
	}
	// No product exceeds the bytes that there are, a quarter of a thousand times.
	for i := t.in - 1; i >= 0; i-- {
		t.step[i] = size
		if t.points[i] < 2 {
			return nil
		}
		if size *= t.points[i]; size > len(b) {
			return nil
		}
	}
	if t.wide {
		for i := range t.step {
			t.step[i] /= 2
		}
	}
	t.grid = b[:size]
	return b[size:]
}

// readStages reads a lutAToB: curves, grid, curves, matrix and curves, of which
// only the last must be there.
func (t *table) readStages(tag []byte) bool {
	part := func(i int) []byte {
		at := binary.BigEndian.Uint32(tag[12+4*i:])
		if at == 0 || int64(at) >= int64(len(tag)) {
			return nil
		}
		return tag[at:]
	}
	leave, matrix, middle, grid, enter := part(0), part(1), part(2), part(3), part(4)
	if !curves(t.leave[:], leave) || middle != nil && !curves(t.middle[:], middle) || enter != nil && !curves(t.enter[:t.in], enter) {
		return false
	}
	if matrix != nil {
		if len(matrix) < 48 {
			return false
		}
		t.matrix = new([12]float64)
		for i := range t.matrix {
			t.matrix[i] = fixed16(matrix[4*i:])
		}
	}
	if grid == nil {
		return t.in == 3
	}
	if len(grid) < 20 || grid[16] != 1 && grid[16] != 2 {
		return false
	}
	for i := range t.in {
		t.points[i] = int(grid[i])
	}
	t.wide = grid[16] == 2
	return t.readGrid(grid[20:]) != nil
}

// curves reads curves that stand one after the other, each filled up to whole
// words.
func curves(to []curve, b []byte) bool {
	for i := range to {
		if len(b) < 12 {
			return false
		}
		if to[i] = curveOf(b); to[i] == nil {
			return false
		}
		size := 12 + 2*int64(binary.BigEndian.Uint32(b[8:]))
		if string(b[:4]) == "para" {
			size = 12 + 4*int64([5]int{1, 3, 4, 5, 7}[binary.BigEndian.Uint16(b[8:])])
		}
		b = b[min((size+3)/4*4, int64(len(b))):]
	}
	return true
}

// light gives the colour of a device's values, each of 0 to 1, as light of sRGB,
// which may lie outside of what that can show.
func (t *table) light(v [4]float64) [3]float64 { return lightOf(t.xyz(v)) }

// xyz gives it in XYZ under D50.
func (t *table) xyz(v [4]float64) [3]float64 {
	for i := range t.in {
		v[i] = bent(t.enter[i], v[i])
	}
	out := [3]float64(v[:3])
	if t.grid != nil {
		out = t.between(v)
	}
	if t.middle[0] != nil {
		for i := range out {
			out[i] = bent(t.middle[i], out[i])
		}
	}
	if m := t.matrix; m != nil {
		x, y, z := out[0], out[1], out[2]
		for i := range out {
			out[i] = m[3*i]*x + m[3*i+1]*y + m[3*i+2]*z + m[9+i]
		}
	}
	for i := range out {
		out[i] = bent(t.leave[i], out[i])
	}
	return t.decoded(out)
}

// bent follows a curve, both ends of which are held to 0 to 1.
func bent(f curve, v float64) float64 {
	v = min(max(v, 0), 1)
	if f != nil {
		v = min(max(f(v), 0), 1)
	}
	if v != v {
		return 0
	}
	return v
}

// decoded gives XYZ for a colour as the profile encodes it.
func (t *table) decoded(v [3]float64) [3]float64 {
	if !t.lab {
		const most = 1 + 32767./32768
		return [3]float64{v[0] * most, v[1] * most, v[2] * most}
	}
	l, a, b := 100*v[0], 255*v[1]-128, 255*v[2]-128
	if t.old {
		l, a, b = 100*v[0]*65535/65280, v[1]*65535/256-128, v[2]*65535/256-128
	}
	y := (l + 16) / 116
	return [3]float64{whiteD50[0] * unrooted(y+a/500), whiteD50[1] * unrooted(y), whiteD50[2] * unrooted(y-b/200)}
}

// whiteD50 is the white of profiles in XYZ.
var whiteD50 = [3]float64{0.9642, 1, 0.8249}

// lightOf gives light of sRGB for XYZ.
func lightOf(xyz [3]float64) (out [3]float64) {
	for i := range out {
		out[i] = fromD50[3*i]*xyz[0] + fromD50[3*i+1]*xyz[1] + fromD50[3*i+2]*xyz[2]
	}
	return out
}

// unrooted is what L*a*b* takes the root of.
func unrooted(v float64) float64 {
	if v <= 24./116 {
		return (v - 16./116) * 108 / 841
	}
	return v * v * v
}

// between gives what lies between the points of the grid: along a fourth channel
// in a straight line, along three by the tetrahedron that the value is in, so that
// greys stay grey.
func (t *table) between(v [4]float64) [3]float64 {
	switch t.in {
	case 1:
		low, part := split(v[0], t.points[0])
		return mixed(t.point(low*t.step[0]), t.point((low+1)*t.step[0]), part)
	case 3:
		return t.tetrahedron(0, v[:3], 0)
	}
	low, part := split(v[0], t.points[0])
	return mixed(t.tetrahedron(low*t.step[0], v[1:], 1), t.tetrahedron((low+1)*t.step[0], v[1:], 1), part)
}

// tetrahedron goes from the corner below to the one above along the channels, the
// largest part first. first is the channel that v begins with.
func (t *table) tetrahedron(at int, v []float64, first int) [3]float64 {
	var parts [3]float64
	var steps [3]int
	for i := range parts {
		low, part := split(v[i], t.points[first+i])
		at += low * t.step[first+i]
		parts[i], steps[i] = part, t.step[first+i]
	}
	sortDown(&parts, &steps)
	out := t.point(at)
	before := out
	for i, part := range parts {
		at += steps[i]
		next := t.point(at)
		for c := range out {
			out[c] += (next[c] - before[c]) * part
		}
		before = next
	}
	return out
}

// sortDown brings three parts into order, the largest first, and steps with them.
func sortDown(parts *[3]float64, steps *[3]int) {
	for _, p := range [3][2]int{{0, 1}, {1, 2}, {0, 1}} {
		if i, j := p[0], p[1]; parts[i] < parts[j] {
			parts[i], parts[j] = parts[j], parts[i]
			steps[i], steps[j] = steps[j], steps[i]
		}
	}
}

// point gives the three samples of a point.
func (t *table) point(at int) [3]float64 {
	return [3]float64{sample(t.grid, at, t.wide), sample(t.grid, at+1, t.wide), sample(t.grid, at+2, t.wide)}
}

// sample gives one sample as 0 to 1.
func sample(b []byte, i int, wide bool) float64 {
	if wide {
		return float64(binary.BigEndian.Uint16(b[2*i:])) / 65535
	}
	return float64(b[i]) / 255
}

// split tells between which of n points a value of 0 to 1 lies, and where.
func split(v float64, n int) (low int, part float64) {
	place := v * float64(n-1)
	low = min(int(place), n-2)
	return low, place - float64(low)
}

func mixed(a, b [3]float64, part float64) [3]float64 {
	for i := range a {
		a[i] += (b[i] - a[i]) * part
	}
	return a
}
