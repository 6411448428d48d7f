package header

import "encoding/binary"

// readGIF counts the pictures of a GIF by walking its blocks.
func readGIF(s *source, info *Info, most int) bool {
	head := s.bytes(0, 13)
	if len(head) < 13 {
		return false
	}
	info.Width, info.Height = int(binary.LittleEndian.Uint16(head[6:])), int(binary.LittleEndian.Uint16(head[8:]))
	info.Depth, info.Bands, info.Frames = 8, 3, 0
	for at := 13 + colors(head[10]); info.Frames < most && s.step(); {
		b := s.bytes(at, 10)
		if len(b) < 2 {
			break
		}
		switch {
		case b[0] == 0x21: // an extension
			if b[1] == 0xf9 && len(b) > 3 && b[3]&1 != 0 {
				info.Alpha = true
			}
			at = skipBlocks(s, at+2)
			continue
		case b[0] == 0x2c && len(b) == 10: // a picture
			info.Interlaced = info.Interlaced || b[9]&0x40 != 0
			info.Frames++
			at = skipBlocks(s, at+10+colors(b[9])+1)
			continue
		}
		break
	}
	info.Frames = max(info.Frames, 1)
	if info.Alpha {
		info.Bands = 4
	}
	return true
}

// colors is the length of a colour table by the flags before it.
func colors(flags byte) int64 {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

// skipBlocks skips sub-blocks up to and with the empty one.
func skipBlocks(s *source, at int64) int64 {
	for s.step() {
		n := s.bytes(at, 1)
		if len(n) == 0 {
			break
		}
		at += 1 + int64(n[0])
		if n[0] == 0 {
			break
		}
	}
	return at
}
