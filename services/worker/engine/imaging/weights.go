package imaging

import (
	"math"
	"sync"
)

// A tap of a filter is a number of weightBits bits after the point.
const (
	weightBits = 12
	weightOne  = 1 << weightBits
)

// taps is what one pixel of a result is made of: weights of the source's pixels
// from first on.
type taps struct {
	first   int
	weights []int32
}

// lanczos3 is the windowed sinc of three lobes.
func lanczos3(x float64) float64 {
	if x < 1e-9 {
		return 1
	}
	x *= math.Pi
	return 3 * math.Sin(x) * math.Sin(x/3) / (x * x)
}

// lobeSteps is how finely a lobe is tabulated. Between the steps it is taken for
// straight, which is less than a weight's last bit off.
const lobeSteps = 256

// lanczosTable is the right half of the filter, and its end.
var lanczosTable = sync.OnceValue(func() *[3*lobeSteps + 2]float64 {
	var table [3*lobeSteps + 2]float64
	for i := range 3 * lobeSteps {
		table[i] = lanczos3(float64(i) / lobeSteps)
	}
	return &table
})

// lanczosTaps gives the taps of n pixels that cover the span from..from+length of
// a line of size pixels. Nothing outside of the span takes part, but for the
// pixels that its ends lie in.
func lanczosTaps(n, size int, from, length float64) []taps {
	lowest, highest := int(math.Floor(from+1e-6)), min(int(math.Ceil(from+length-1e-6)), size)
	scale := length / float64(n)
	wide := max(scale, 1)
	out := make([]taps, n)
	most := int(math.Ceil(6*wide)) + 2
	memory := make([]int32, 0, n*most)
	exact := make([]float64, most)
	table := lanczosTable()
	for i := range out {
		center := from + (float64(i)+0.5)*scale
		lo := max(int(math.Ceil(center-0.5-3*wide)), lowest)
		hi := min(int(math.Floor(center-0.5+3*wide)), highest-1)
		lo, hi = min(lo, highest-1), max(hi, min(lo, highest-1))
		sum := 0.0
		for j := lo; j <= hi; j++ {
			place := min(math.Abs((float64(j)+0.5-center)/wide), 3) * lobeSteps
			step := int(place)
			v := table[step] + (table[step+1]-table[step])*(place-float64(step))
			exact[j-lo] = v
			sum += v
		}
		start := len(memory)
		memory = fixed(memory, exact[:hi-lo+1], sum)
		out[i] = taps{lo, memory[start:len(memory):len(memory)]}
	}
	return out
}

// fixed appends weights that add up to exactly weightOne: what rounding leaves
// goes to the largest.
func fixed(to []int32, exact []float64, sum float64) []int32 {
	start, left, largest := len(to), int32(weightOne), 0
	for i, v := range exact {
		w := int32(math.RoundToEven(v / sum * weightOne))
		to = append(to, w)
		left -= w
		if w > to[start+largest] {
			largest = i
		}
	}
	to[start+largest] += left
	return to
}
