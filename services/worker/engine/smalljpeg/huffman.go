package smalljpeg

// lookBits is how many bits of a code are looked up at once. Nearly all codes are
// shorter.
const lookBits = 10

// huffman is a table of codes.
type huffman struct {
	// look holds, by the next bits: length in the lowest 8 bits, symbol in the
	// next 8. Where the value that follows the code fits into the bits too, the
	// length includes it, the value stands in the highest 16, and direct is set.
	look [1 << lookBits]uint32
	// top is, by length, the first code beyond, aligned to 16 bits; offset leads
	// from a code to its symbol.
	top     [18]uint32
	offset  [17]int
	symbols []byte
}

// direct marks an entry that holds a value.
const direct = 1 << 7

// newHuffman builds a table; nil when the codes make none. values says that what
// symbols lead to can be looked up too, as it can for AC.
func newHuffman(counts, symbols []byte, values bool) *huffman {
	h := &huffman{symbols: symbols}
	code, n := uint32(0), 0
	for length := 1; length <= 16; length++ {
		h.offset[length] = n - int(code)
		for range counts[length-1] {
			if code >= 1<<length {
				return nil
			}
			if length <= lookBits {
				h.enter(code, length, symbols[n], values)
			}
			code++
			n++
		}
		if code > 1<<length {
			return nil
		}
		h.top[length] = code << (16 - length)
		code <<= 1
	}
	h.top[17] = 1 << 17
	return h
}

// enter fills the entries that begin with a code.
func (h *huffman) enter(code uint32, length int, symbol byte, values bool) {
	free := lookBits - length
	size := int(symbol & 15)
	for rest := range uint32(1) << free {
		entry := uint32(length) | uint32(symbol)<<8 //nolint:gosec // at most 16
		if values && size > 0 && size <= free {
			v := extend(int32(rest>>(free-size)), size)                                             //nolint:gosec // at most lookBits bits
			entry = uint32(length+size) | direct | uint32(symbol)<<8 | uint32(uint16(int16(v)))<<16 //nolint:gosec // at most 10 bits
		}
		h.look[code<<free|rest] = entry
	}
}

// extend turns the bits that follow a code into the number they stand for.
func extend(v int32, size int) int32 {
	if v < 1<<(size-1) {
		return v - 1<<size + 1
	}
	return v
}

// long finds a code of more than lookBits bits at the top of acc: its symbol and
// length; 0 bits when there is none.
func (h *huffman) long(acc uint64) (symbol byte, length int) {
	v := uint32(acc >> 48)
	for length = lookBits + 1; v >= h.top[length]; length++ {
	}
	if length > 16 {
		return 0, 0
	}
	at := h.offset[length] + int(v>>(16-length))
	if at < 0 || at >= len(h.symbols) {
		return 0, 0
	}
	return h.symbols[at], length
}
