package header

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"

	"imagemill/services/worker/engine"
)

// maxBlock bounds a metadata block or a profile that is looked into, in bytes.
const maxBlock = 64 << 10

// readPNG walks the chunks up to the pixels.
func readPNG(s *source, info *Info, most int) bool {
	head := s.bytes(8, 25)
	if len(head) < 21 || string(head[4:8]) != "IHDR" {
		return false
	}
	info.Width, info.Height = int(binary.BigEndian.Uint32(head[8:])), int(binary.BigEndian.Uint32(head[12:]))
	info.Depth, info.Interlaced = int(head[16]), head[20] != 0
	kind := head[17]
	palette := kind == 3
	if palette {
		info.Depth = 8 // of its colours
	}
	info.Alpha = kind&4 != 0
	for at := int64(33); s.step(); {
		b := s.bytes(at, 8)
		if len(b) < 8 || string(b[4:]) == "IDAT" || string(b[4:]) == "IEND" {
			break
		}
		size := int64(binary.BigEndian.Uint32(b))
		pngChunk(s, info, string(b[4:]), at+8, size, most)
		at += 12 + size
	}
	info.Bands = 1
	if kind&2 != 0 {
		info.Bands = 3
	}
	if info.Alpha {
		info.Bands++
	}
	return true
}

func pngChunk(s *source, info *Info, kind string, at, size int64, most int) {
	switch kind {
	case "tRNS":
		info.Alpha = true
	case "acTL":
		if b := s.bytes(at, 4); len(b) == 4 {
			info.Frames = int(min(max(int64(binary.BigEndian.Uint32(b)), 1), int64(most)))
		}
	case "eXIf":
		s.firstExif(info, func() []byte { return s.whole(at, min(size, maxBlock)) })
	case "cICP":
		// What this chunk says wins over the others.
		if b := s.bytes(at, 4); len(b) == 4 {
			info.Profile = codedProfile(int(b[0]), int(b[1]))
		}
	case "iCCP":
		if info.Profile == "" {
			s.firstProfile(info, func() []byte { return inflated(s.whole(at, min(size, maxBlock))) })
		}
	case "sRGB":
		if info.Profile == "" {
			info.Profile = engine.ProfileSRGB
		}
	}
}

// inflated unpacks the profile behind a name, as far as it is looked into.
func inflated(b []byte) []byte {
	_, packed, ok := bytes.Cut(b, []byte{0})
	if !ok || len(packed) < 1 {
		return nil
	}
	z, err := zlib.NewReader(bytes.NewReader(packed[1:]))
	if err != nil {
		return nil
	}
	out, _ := io.ReadAll(io.LimitReader(z, maxBlock))
	return out
}

// codedProfile names the colour space that code points of ITU-T H.273 stand for.
func codedProfile(primaries, transfer int) string {
	const bt709, unspecified, p3, srgb = 1, 2, 12, 13
	switch {
	case primaries == unspecified && transfer == unspecified:
		return ""
	case transfer != srgb && transfer != bt709 && transfer != unspecified:
		return engine.ProfileOther
	case primaries == bt709, primaries == unspecified:
		return engine.ProfileSRGB
	case primaries == p3:
		return engine.ProfileP3
	}
	return engine.ProfileOther
}
