package header

import "encoding/binary"

// readWebP walks the chunks of a WebP.
func readWebP(s *source, info *Info, most int) bool {
	info.Depth, info.Bands, info.Frames = 8, 3, 0
	found := false
	for at := int64(12); s.step() && info.Frames < most; {
		b := s.bytes(at, 18)
		if len(b) < 8 {
			break
		}
		size := int64(binary.LittleEndian.Uint32(b[4:]))
		switch body := b[8:]; string(b[:4]) {
		case "VP8X":
			if len(body) < 10 {
				return false
			}
			info.Alpha = body[0]&0x10 != 0
			info.Width, info.Height, found = 1+little24(body[4:]), 1+little24(body[7:]), true
		case "VP8 ":
			if !found && len(body) >= 10 && body[3] == 0x9d && body[4] == 1 && body[5] == 0x2a {
				info.Width, info.Height = int(binary.LittleEndian.Uint16(body[6:])&0x3fff), int(binary.LittleEndian.Uint16(body[8:])&0x3fff)
				found = true
			}
		case "VP8L":
			if !found && len(body) >= 5 && body[0] == 0x2f {
				bits := binary.LittleEndian.Uint32(body[1:])
				info.Width, info.Height = int(bits&0x3fff)+1, int(bits>>14&0x3fff)+1
				info.Alpha, found = bits>>28&1 != 0, true
			}
		case "ANMF":
			info.Frames++
		case "ICCP":
			s.firstProfile(info, func() []byte { return s.whole(at+8, min(size, maxBlock)) })
		case "EXIF":
			s.firstExif(info, func() []byte { return webpExif(s.whole(at+8, min(size, maxBlock))) })
		}
		at += 8 + size + size&1
	}
	info.Frames = max(info.Frames, 1)
	if info.Alpha {
		info.Bands = 4
	}
	return found
}

// webpExif takes off the name that some writers put in front, as in a JPEG.
func webpExif(b []byte) []byte {
	if len(b) > 6 && string(b[:6]) == "Exif\x00\x00" {
		return b[6:]
	}
	return b
}

func little24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
