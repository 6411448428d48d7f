package enginetest

import (
	"bytes"
	"encoding/binary"
	"math"
)

// InkProfiles are the kinds of profiles for four inks that InkProfile makes.
func InkProfiles() []string {
	return []string{"lut8", "lut16", "lut16 of XYZ", "lutAToB", "lutAToB of XYZ"}
}

// inkPoints are the points of their grids along each ink.
const inkPoints = 9

// InkProfile is an ICC profile for four inks made of a table, which says that they
// look as InkColour has it.
func InkProfile(kind string) []byte { return TableProfile(kind, "CMYK", inkPoints, InkColour) }

// InkColour is how much of the light X, Y and Z of the white D50 is left by inks, of 0
// to 1 each, that let through a part of each other's light.
func InkColour(v []float64) [3]float64 {
	through := [4][3]float64{{0.25, 0.35, 0.85}, {0.45, 0.3, 0.35}, {0.9, 0.95, 0.2}, {0.06, 0.06, 0.06}}
	out := [3]float64{1, 1, 1}
	for ink, t := range through[:len(v)] {
		for i := range out {
			out[i] *= 1 - v[ink]*(1-t[i])
		}
	}
	return out
}

// TableProfile is an ICC profile of a kind that InkProfiles names, for a device
// of a space whose colours are given as parts of the white D50.
func TableProfile(kind, space string, points int, colour func(v []float64) [3]float64) []byte {
	channels := map[string]int{"CMYK": 4, "RGB ": 3, "GRAY": 1}[space]
	xyz := len(kind) > 3 && kind[len(kind)-3:] == "XYZ"
	b := make([]byte, 128, 1<<16)
	copy(b[8:], "\x02\x40\x00\x00prtr"+space+"Lab ")
	if xyz {
		copy(b[20:], "XYZ ")
	}
	if kind[:4] == "lutA" {
		b[8], b[9] = 4, 0x20
	}
	copy(b[36:], "acsp")
	white := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 63190), 65536), 54061)
	copy(b[68:], white)
	b = append(b, 0, 0, 0, 2)
	tag := tableTag(kind, channels, points, func(v []float64) [3]uint16 { return encoded(kind, xyz, colour(v)) })
	for _, row := range []struct {
		name     string
		at, size int
	}{{"A2B0", 176, len(tag)}, {"wtpt", 156, 20}} {
		b = binary.BigEndian.AppendUint32(append(b, row.name...), uint32(row.at))
		b = binary.BigEndian.AppendUint32(b, uint32(row.size))
	}
	b = append(append(b, "XYZ \x00\x00\x00\x00"...), white...)
	b = append(b, tag...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// encoded is a colour as a kind of table has it.
func encoded(kind string, xyz bool, c [3]float64) (out [3]uint16) {
	word := func(v float64) uint16 { return uint16(min(max(math.Round(v), 0), 65535)) }
	if xyz {
		for i, w := range [3]float64{0.9642, 1, 0.8249} {
			out[i] = word(c[i] * w * 32768)
		}
		return out
	}
	root := func(v float64) float64 {
		if v > 216./24389 {
			return math.Cbrt(v)
		}
		return (24389./27*v + 16) / 116
	}
	x, y, z := root(c[0]), root(c[1]), root(c[2])
	l, a, b := 116*y-16, 500*(x-y), 200*(y-z)
	if kind == "lut16" {
		return [3]uint16{word(l * 652.8), word((a + 128) * 256), word((b + 128) * 256)}
	}
	return [3]uint16{word(l * 655.35), word((a + 128) * 257), word((b + 128) * 257)}
}

// tableTag writes the tag. Its curves before the grid are not straight, and the
// grid makes up for it.
func tableTag(kind string, channels, points int, at func(v []float64) [3]uint16) []byte {
	const gamma = 1.25 // of the curves
	narrow := kind == "lut8"
	put := func(b []byte, v uint16) []byte {
		if narrow {
			return append(b, uint8((uint32(v)+128)/257))
		}
		return binary.BigEndian.AppendUint16(b, v)
	}
	var grid []byte
	for i := range int(math.Pow(float64(points), float64(channels))) {
		v := make([]float64, channels)
		for c := channels - 1; c >= 0; c-- {
			v[c] = math.Pow(float64(i%points)/float64(points-1), 1/gamma)
			i /= points
		}
		for _, w := range at(v) {
			grid = put(grid, w)
		}
	}
	if kind[:4] == "lutA" {
		return stagesTag(channels, points, gamma, grid)
	}
	b := append([]byte("mft2\x00\x00\x00\x00"), byte(channels), 3, byte(points), 0)
	for i := range 9 {
		b = binary.BigEndian.AppendUint32(b, map[bool]uint32{true: 65536}[i%4 == 0])
	}
	entries := 256
	if narrow {
		copy(b, "mft1")
	} else {
		b = append(b, 1, 0, 0, 2)
	}
	for range channels {
		for i := range entries {
			b = put(b, uint16(65535*math.Pow(float64(i)/255, gamma)+0.5))
		}
	}
	b = append(b, grid...)
	for range 3 {
		if !narrow {
			b = put(put(b, 0), 65535)
			continue
		}
		for i := range entries {
			b = append(b, byte(i))
		}
	}
	return b
}

// stagesTag writes a lutAToB of all stages. Its matrix halves and its last curves
// double.
func stagesTag(channels, points int, gamma float64, grid []byte) []byte {
	curve := func(n int, parts ...float64) []byte {
		one := append([]byte("para\x00\x00\x00\x00\x00"), byte(map[int]int{1: 0, 4: 3}[len(parts)]), 0, 0)
		for _, p := range parts {
			one = binary.BigEndian.AppendUint32(one, uint32(int32(math.Round(p*65536))))
		}
		return bytes.Repeat(one, n)
	}
	last := append([]byte("curv\x00\x00\x00\x00\x00\x00\x00\x03"), 0, 0, 255, 255, 255, 255, 0, 0)
	stages := [][]byte{bytes.Repeat(last, 3), nil, curve(3, 1), nil, curve(channels, gamma)}
	for i := range 12 {
		stages[1] = binary.BigEndian.AppendUint32(stages[1], map[bool]uint32{true: 32768}[i%4 == 0 && i < 9])
	}
	head := append(bytes.Repeat([]byte{byte(points)}, channels), make([]byte, 20-channels)...)
	head[16] = 2
	stages[3] = append(append(head, grid...), make([]byte, -len(grid)&3)...)
	b := append([]byte("mAB \x00\x00\x00\x00"), byte(channels), 3, 0, 0)
	offset := 32
	for _, s := range stages {
		b = binary.BigEndian.AppendUint32(b, uint32(offset))
		offset += len(s)
	}
	return append(b, bytes.Join(stages, nil)...)
}
