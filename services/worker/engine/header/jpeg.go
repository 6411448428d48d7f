package header

import (
	"encoding/binary"

	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/exif"
)

// jpegFrame is what the frame header and the segments beside it say.
type jpegFrame struct {
	components [][3]byte // identifier, horizontal and vertical sampling
	adobe      bool
	transform  byte
}

// readJPEG walks the segments up to the pixels. Metadata may stand on both sides
// of the frame header.
func readJPEG(s *source, info *Info) bool {
	var frame jpegFrame
	for at := int64(2); s.step(); {
		b := s.bytes(at, 4)
		if len(b) < 4 {
			break
		}
		marker := b[1]
		switch {
		case b[0] != 0xff || marker == 0xff:
			at++ // rubbish or a fill byte, both of which decoders skip
			continue
		case marker <= 1 || marker >= 0xd0 && marker <= 0xd8:
			at += 2 // has no length
			continue
		}
		if marker == 0xda || marker == 0xd9 {
			break
		}
		size := int64(max(binary.BigEndian.Uint16(b[2:]), 2))
		frame.segment(s, info, marker, at+4, size-2)
		at += 2 + size
	}
	info.Chroma = frame.chroma()
	if info.Profile == "" {
		info.Profile = exifProfile(info.EXIF)
	}
	return len(frame.components) > 0
}

// segment takes in one segment whose body begins at an offset.
func (f *jpegFrame) segment(s *source, info *Info, marker byte, at, size int64) {
	switch {
	case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
		f.frame(s.bytes(at, int(min(size, 256))), info, marker)
	case marker == 0xe1 && size > 6 && string(s.bytes(at, 6)) == "Exif\x00\x00":
		s.firstExif(info, func() []byte { return s.whole(at+6, size-6) })
	case marker == 0xe2 && size > 14 && string(s.bytes(at, 12)) == "ICC_PROFILE\x00":
		// A profile may go on in further segments. Its first one tells enough.
		if n := s.bytes(at+12, 1); len(n) == 1 && n[0] == 1 {
			s.firstProfile(info, func() []byte { return s.whole(at+14, size-14) })
		}
	case marker == 0xee && size >= 12 && string(s.bytes(at, 5)) == "Adobe":
		if b := s.bytes(at+11, 1); len(b) == 1 {
			f.adobe, f.transform = true, b[0]
		}
	}
}

// frame reads a frame header.
func (f *jpegFrame) frame(b []byte, info *Info, marker byte) {
	if len(b) < 6 || f.components != nil {
		return
	}
	n := int(b[5])
	if n == 0 || len(b) < 6+3*n {
		return
	}
	info.Depth, info.Bands = int(b[0]), n
	info.Height, info.Width = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
	info.Interlaced = marker&3 == 2
	for i := range n {
		c := b[6+3*i:]
		f.components = append(f.components, [3]byte{c[0], c[1] >> 4, c[1] & 15})
	}
}

// chroma names the way in which the components are stored.
func (f *jpegFrame) chroma() string {
	c := f.components
	switch {
	case len(c) == 1:
		return engine.ChromaGray
	case len(c) == 4:
		return engine.ChromaCMYK
	case len(c) != 3 || f.adobe && f.transform == 0 || string([]byte{c[0][0], c[1][0], c[2][0]}) == "RGB":
		return ""
	case c[1] != [3]byte{c[1][0], 1, 1} || c[2] != [3]byte{c[2][0], 1, 1}:
		return ""
	}
	switch [2]byte{c[0][1], c[0][2]} {
	case [2]byte{1, 1}:
		return engine.Chroma444
	case [2]byte{2, 1}:
		return engine.Chroma422
	case [2]byte{2, 2}:
		return engine.Chroma420
	}
	return ""
}

// exifProfile is the colour space that EXIF names, for pictures without a
// profile.
func exifProfile(b exif.Block) string {
	switch {
	case b.AdobeRGB:
		return engine.ProfileAdobeRGB
	case b.SRGB:
		return engine.ProfileSRGB
	}
	return ""
}
