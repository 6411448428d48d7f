package facts

import (
	"fmt"
	"image"
	"math"
	"slices"

	lib "github.com/disintegration/imaging"
)

// The hash is the one that C. Zauner describes as "DCT based" in
// "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010):
// the picture in grey at 32×32, its discrete cosine transform, of that the eight
// by eight lowest frequencies but the constant ones, and for each whether it is
// above their median.
const (
	hashSide  = 32
	hashWaves = 8
)

// pHash is the hash as 16 hexadecimal digits.
func pHash(m *image.NRGBA) string {
	small := lib.Grayscale(lib.Resize(onWhite(m), hashSide, hashSide, lib.Box))
	var grey [hashSide][hashSide]float64
	for y := range hashSide {
		for x := range hashSide {
			grey[y][x] = float64(small.Pix[small.PixOffset(x, y)])
		}
	}
	waves := lowWaves(&grey)
	sorted := slices.Sorted(slices.Values(waves))
	median := (sorted[len(sorted)/2-1] + sorted[len(sorted)/2]) / 2
	var hash uint64
	for _, v := range waves {
		hash <<= 1
		if v > median {
			hash |= 1
		}
	}
	return fmt.Sprintf("%016x", hash)
}

// lowWaves gives the strengths of the lowest frequencies in both directions, row
// by row. One direction is transformed after the other.
func lowWaves(grey *[hashSide][hashSide]float64) []float64 {
	var basis [hashWaves][hashSide]float64
	for k := range basis {
		for x := range hashSide {
			basis[k][x] = math.Cos(math.Pi / hashSide * (float64(x) + 0.5) * float64(k+1))
		}
	}
	var rows [hashSide][hashWaves]float64
	for y := range rows {
		for k := range hashWaves {
			for x := range hashSide {
				rows[y][k] += grey[y][x] * basis[k][x]
			}
		}
	}
	out := make([]float64, 0, hashWaves*hashWaves)
	for j := range hashWaves {
		for k := range hashWaves {
			sum := 0.0
			for y := range hashSide {
				sum += rows[y][k] * basis[j][y]
			}
			// What is only the rounding of sums would make the hash of a plain
			// picture random.
			out = append(out, math.Round(sum*1e3)/1e3)
		}
	}
	return out
}
