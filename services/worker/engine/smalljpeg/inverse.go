package smalljpeg

// The inverse transforms take the lowest frequencies of a block of 8×8 for those
// of a block of 2×2 or 4×4, whose transform has the same form with fewer terms;
// the values are then those of the picture made smaller by an ideal filter.

// two makes 2×2 pixels. Each frequency weighs 1/8 in both directions together.
func two(pix []uint8, stride int, f *[64]int32) {
	const half = 4
	a, b, c, d := f[0]+half, f[1], f[8], f[9]
	pix[0], pix[1] = level((a+b+c+d)>>3), level((a-b+c-d)>>3)
	pix[stride], pix[stride+1] = level((a+b-c-d)>>3), level((a-b-c+d)>>3)
}

// The weights of four: cos(kπ/8)/2 in 12 bits behind the point, and √2/4 for the
// mean.
const (
	scaleBits = 12
	w0        = 1448 // √2/4
	w1        = 1892 // cos(π/8)/2
	w2        = 1448 // cos(2π/8)/2
	w3        = 784  // cos(3π/8)/2
)

// four makes 4×4 pixels: rows of frequencies first, then columns.
func four(pix []uint8, stride int, f *[64]int32) {
	var t [16]int32
	for x := range 4 {
		a, b, c, d := f[x], f[8+x], f[16+x], f[24+x]
		even, odd := (a+c)*w0, (a-c)*w2
		p, q := b*w1+d*w3, b*w3-d*w1
		const half = 1 << (scaleBits - 5)
		// Four bits more than whole ones are kept between the passes.
		t[x] = (even + p + half) >> (scaleBits - 4)
		t[4+x] = (odd + q + half) >> (scaleBits - 4)
		t[8+x] = (odd - q + half) >> (scaleBits - 4)
		t[12+x] = (even - p + half) >> (scaleBits - 4)
	}
	const shift, half = scaleBits + 4, 1 << (scaleBits + 3)
	for y := range 4 {
		a, b, c, d := t[4*y], t[4*y+1], t[4*y+2], t[4*y+3]
		even, odd := (a+c)*w0+half, (a-c)*w2+half
		p, q := b*w1+d*w3, b*w3-d*w1
		row := pix[y*stride:][:4:4]
		row[0], row[1], row[2], row[3] = level((even+p)>>shift), level((odd+q)>>shift), level((odd-q)>>shift), level((even-p)>>shift)
	}
}
