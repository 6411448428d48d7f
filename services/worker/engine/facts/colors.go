package facts

import (
	"cmp"
	"fmt"
	"image"
	"slices"
)

const (
	mostColors = 5
	// alike is the distance in RGB below which two colours are one to the eye of
	// somebody who looks for a theme.
	alike = 56
	// leastShare is the share of a picture that a colour needs to be told.
	leastShare = 0.01
)

// group is a number of pixels of similar colour.
type group struct {
	n   int
	sum [3]int
}

func (g group) mean() [3]int { return [3]int{g.sum[0] / g.n, g.sum[1] / g.n, g.sum[2] / g.n} }

func (g *group) add(o group) {
	g.n += o.n
	for i := range g.sum {
		g.sum[i] += o.sum[i]
	}
}

// colors gives the most common colours, the most common one first. Pixels are
// counted in cubes of 16 steps; beginning with the fullest, each cube joins the
// first group that it is alike, or founds one. What is more than half
// transparent does not count.
func colors(m *image.NRGBA) []string {
	var cubes [1 << 12]group
	total := 0
	for i := 0; i+3 < len(m.Pix); i += 4 {
		p := m.Pix[i : i+4]
		if p[3] < 128 {
			continue
		}
		total++
		at := int(p[0])>>4<<8 | int(p[1])>>4<<4 | int(p[2])>>4
		cubes[at].add(group{1, [3]int{int(p[0]), int(p[1]), int(p[2])}})
	}
	full := slices.DeleteFunc(cubes[:], func(g group) bool { return g.n == 0 })
	fullest := func(a, b group) int { return cmp.Compare(b.n, a.n) }
	slices.SortStableFunc(full, fullest)
	var groups []group
	for _, cube := range full {
		at := slices.IndexFunc(groups, func(g group) bool { return distance(g.mean(), cube.mean()) < alike*alike })
		if at < 0 {
			groups = append(groups, cube)
			continue
		}
		groups[at].add(cube)
	}
	slices.SortStableFunc(groups, fullest)
	var out []string
	for _, g := range groups[:min(len(groups), mostColors)] {
		if float64(g.n) < leastShare*float64(total) {
			break
		}
		c := g.mean()
		out = append(out, fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]))
	}
	return out
}

// distance is the square of the distance of two colours.
func distance(a, b [3]int) (d int) {
	for i := range a {
		d += (a[i] - b[i]) * (a[i] - b[i])
	}
	return d
}
