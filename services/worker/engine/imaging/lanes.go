package imaging

// Three numbers of 21 bits live in one word of 64, so that one multiplication
// weighs three pixels, or the three colours of one pixel. The words are added up
// as whole numbers: a lane that falls below zero borrows from the next, and the
// bias, added to each lane at the end, gives all that was borrowed back. With
// weights of weightBits and bytes of 8 bits a sum lies within -0.4 and 1.6 times
// 255·weightOne, for which 21 bits are enough.
const (
	laneBits = 21
	laneMask = 1<<laneBits - 1
	laneBias = 1<<19 + weightOne/2 // the half rounds
	allBias  = laneBias | laneBias<<laneBits | laneBias<<(2*laneBits)
	// biasLevel is what the bias has become when a lane is a byte again.
	biasLevel = 1 << 19 >> weightBits
)

// packLanes joins three bytes.
func packLanes(a, b, c uint8) uint64 {
	return uint64(a) | uint64(b)<<laneBits | uint64(c)<<(2*laneBits)
}

// unpackLanes brings the sums of a word back to bytes.
func unpackLanes(sum uint64) (a, b, c uint8) {
	sum += allBias
	return toByte(sum), toByte(sum >> laneBits), toByte(sum >> (2 * laneBits))
}

// toByte gives the lowest lane of a biased sum.
func toByte(sum uint64) uint8 {
	v := int(sum&laneMask>>weightBits) - biasLevel
	if uint(v) > 255 {
		// Beyond: all ones for more than white, none for less than black.
		v = ^(v >> 63)
	}
	return uint8(v) //nolint:gosec // clamped to a byte
}

// weigh adds up words by the taps of one pixel.
func weigh(src []uint64, t taps) uint64 {
	src = src[t.first:][:len(t.weights)]
	var a, b uint64
	w := t.weights
	for len(w) >= 4 && len(src) >= 4 {
		a += src[0]*uint64(w[0]) + src[1]*uint64(w[1]) //nolint:gosec // negative weights wrap around, as they should
		b += src[2]*uint64(w[2]) + src[3]*uint64(w[3]) //nolint:gosec // as above
		src, w = src[4:], w[4:]
	}
	for i, v := range w {
		a += src[i] * uint64(v) //nolint:gosec // as above
	}
	return a + b
}

// addWeighed adds words times a weight to sums.
func addWeighed(sums, src []uint64, weight int32) {
	w := uint64(weight) //nolint:gosec // a negative weight wraps around, as it should
	src = src[:len(sums)]
	for i, v := range src {
		sums[i] += v * w
	}
}
