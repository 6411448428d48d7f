package sniff

import (
	"encoding/binary"
	"math"
)

// Info is what a header says. It may lie; it bounds what a decoder will try.
type Info struct {
	Format        Format
	Width, Height int
}

// Pixels is the area; that of a header which says more than fits is the most
// that does.
func (i Info) Pixels() int64 {
	if i.Height > 0 && int64(i.Width) > math.MaxInt64/int64(i.Height) {
		return math.MaxInt64
	}
	return int64(i.Width) * int64(i.Height)
}

// Header reads format and size from the first bytes of a JPEG, PNG, GIF, BMP,
// WebP, TIFF, AVIF, HEIC, JPEG XL or SVG. ok is false, with only the format set, when
// the format is another one or the size does not stand in the prefix; the caller
// then knows nothing, not that the file is bad. Sizes are as stored, before any
// orientation.
func Header(prefix []byte) (info Info, ok bool) {
	info.Format = Sniff(prefix)
	switch info.Format {
	case JPEG:
		info.Width, info.Height, ok = jpegSize(prefix)
	case PNG:
		info.Width, info.Height, ok = pngSize(prefix)
	case GIF:
		info.Width, info.Height, ok = gifSize(prefix)
	case BMP:
		info.Width, info.Height, ok = bmpSize(prefix)
	case WebP:
		info.Width, info.Height, ok = webpSize(prefix)
	case TIFF:
		info.Width, info.Height, ok = tiffSize(prefix)
	case AVIF, HEIC:
		info.Width, info.Height, ok = heifSize(prefix)
	case JXL:
		info.Width, info.Height, ok = jxlSize(prefix)
	case SVG:
		info.Width, info.Height, ok = svgSize(prefix)
	default:
	}
	if !ok {
		info.Width, info.Height = 0, 0
	}
	return info, ok
}

// pngSize reads the IHDR chunk, which comes first.
func pngSize(b []byte) (w, h int, ok bool) {
	if len(b) < 24 || string(b[12:16]) != "IHDR" {
		return 0, 0, false
	}
	return int(binary.BigEndian.Uint32(b[16:])), int(binary.BigEndian.Uint32(b[20:])), true
}

// gifSize reads the logical screen.
func gifSize(b []byte) (w, h int, ok bool) {
	if len(b) < 10 {
		return 0, 0, false
	}
	return int(binary.LittleEndian.Uint16(b[6:])), int(binary.LittleEndian.Uint16(b[8:])), true
}

// bmpSize reads the second header, of which the oldest form is shorter. A
// negative height means rows from top to bottom.
func bmpSize(b []byte) (w, h int, ok bool) {
	switch {
	case len(b) < 26:
		return 0, 0, false
	case binary.LittleEndian.Uint32(b[14:]) == 12:
		return int(binary.LittleEndian.Uint16(b[18:])), int(binary.LittleEndian.Uint16(b[20:])), true
	}
	//nolint:gosec // the header keeps signed numbers: negative ones count from the bottom
	w, h = int(int32(binary.LittleEndian.Uint32(b[18:]))), int(int32(binary.LittleEndian.Uint32(b[22:])))
	if w < 0 {
		return 0, 0, false
	}
	return w, max(h, -h), true
}

// jpegSize walks the segments up to the frame header. Each step moves forward,
// so it ends within the prefix.
func jpegSize(b []byte) (w, h int, ok bool) {
	for i := 2; i+4 <= len(b); {
		marker := b[i+1]
		switch {
		case b[i] != 0xff:
			i++ // decoders skip rubbish between segments
			continue
		case marker == 0xff:
			i++ // fill byte
			continue
		case marker == 0 || marker == 1 || marker >= 0xd0 && marker <= 0xd8:
			i += 2 // has no length
			continue
		case marker == 0xda || marker == 0xd9:
			return 0, 0, false // pixels before any frame header
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
			if i+9 > len(b) {
				return 0, 0, false
			}
			return int(binary.BigEndian.Uint16(b[i+7:])), int(binary.BigEndian.Uint16(b[i+5:])), true
		}
		i += 2 + max(int(binary.BigEndian.Uint16(b[i+2:])), 2)
	}
	return 0, 0, false
}
