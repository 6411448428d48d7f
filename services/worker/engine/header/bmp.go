package header

import (
	"encoding/binary"

	"imagemill/internal/sniff"
)

// readBMP reads the second header, which tells the size in two forms.
func readBMP(s *source, info *Info) bool {
	b := s.bytes(0, 64)
	size, ok := sniff.Header(b)
	if !ok || len(b) < 30 {
		return false
	}
	info.Width, info.Height = size.Width, size.Height
	info.Depth, info.Bands = 8, 3
	bits := binary.LittleEndian.Uint16(b[28:])
	if old := binary.LittleEndian.Uint32(b[14:]) == 12; old {
		bits = binary.LittleEndian.Uint16(b[24:])
	}
	if bits == 32 {
		info.Bands, info.Alpha = 4, true
	}
	return true
}
