package sniff

import "encoding/binary"

// webpSize reads the first chunk, which is VP8X, VP8 or VP8L.
func webpSize(b []byte) (w, h int, ok bool) {
	const head = 20
	if len(b) < head {
		return 0, 0, false
	}
	switch kind, data := string(b[12:16]), b[head:]; {
	case kind == "VP8X" && len(data) >= 10:
		return int(little24(data[4:])) + 1, int(little24(data[7:])) + 1, true
	case kind == "VP8 " && len(data) >= 10:
		if data[0]&1 != 0 || string(data[3:6]) != "\x9d\x01\x2a" {
			return 0, 0, false // no key frame
		}
		const mask = 1<<14 - 1 // the upper bits are a scale
		return int(binary.LittleEndian.Uint16(data[6:]) & mask), int(binary.LittleEndian.Uint16(data[8:]) & mask), true
	case kind == "VP8L" && len(data) >= 5:
		if data[0] != 0x2f {
			return 0, 0, false
		}
		bits := binary.LittleEndian.Uint32(data[1:])
		const mask = 1<<14 - 1
		return int(bits&mask) + 1, int(bits>>14&mask) + 1, true
	}
	return 0, 0, false
}

func little24(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 }
