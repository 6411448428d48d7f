package imaging

import (
	"encoding/binary"

	"imagemill/internal/sniff"
)

// orientation finds the EXIF orientation, 1 to 8, of a JPEG, a PNG or a TIFF;
// 1 when there is none or it makes no sense. prefix is the file's beginning.
func (s *source) orientation(prefix []byte) int {
	if s.format == sniff.TIFF {
		return s.tiffFileOrientation(prefix)
	}
	return tiffOrientation(exifOf(s.format, prefix))
}

// exifOf finds the EXIF block of a JPEG or a PNG, nil for others.
func exifOf(format sniff.Format, prefix []byte) []byte {
	switch format {
	case sniff.JPEG:
		return jpegExif(prefix)
	case sniff.PNG:
		return pngExif(prefix)
	default:
		return nil
	}
}

// jpegExif finds the EXIF block among the segments before the pixels. An EXIF
// block that is cut off by the end of b is given as far as it goes.
func jpegExif(b []byte) []byte {
	for i := 2; i+4 <= len(b) && b[i] == 0xff; {
		marker := b[i+1]
		if marker == 0xff {
			i++
			continue
		}
		if marker == 0xda || marker == 0xd9 {
			return nil
		}
		end := i + 2 + int(binary.BigEndian.Uint16(b[i+2:]))
		if end < i+4 {
			return nil
		}
		body := b[i+4 : max(min(end, len(b)), i+4)]
		if marker == 0xe1 && len(body) > 6 && string(body[:6]) == "Exif\x00\x00" {
			return body[6:]
		}
		i = end
	}
	return nil
}

// pngExif finds the eXIf chunk before the pixels.
func pngExif(b []byte) []byte {
	for i := 8; i+8 <= len(b); {
		size, kind := int64(binary.BigEndian.Uint32(b[i:])), string(b[i+4:i+8])
		end := int64(i) + 8 + size
		if kind == "IDAT" || end > int64(len(b)) {
			return nil
		}
		if kind == "eXIf" {
			return b[i+8 : end]
		}
		i = int(end) + 4
	}
	return nil
}

// maxEntries bounds how much of a directory is looked at.
const maxEntries = 512

// tiffFileOrientation reads the first directory, which may lie anywhere.
func (s *source) tiffFileOrientation(prefix []byte) int {
	order := byteOrder(prefix)
	if order == nil || len(prefix) < 8 {
		return 1
	}
	directory := make([]byte, 2+maxEntries*12)
	n, _ := s.ReadAt(directory, int64(order.Uint32(prefix[4:])))
	return directoryOrientation(directory[:n], order)
}

// tiffOrientation reads the first directory of a TIFF structure in memory,
// which is what EXIF is.
func tiffOrientation(b []byte) int {
	order := byteOrder(b)
	if order == nil || len(b) < 8 {
		return 1
	}
	at := int64(order.Uint32(b[4:]))
	if at > int64(len(b)) {
		return 1
	}
	return directoryOrientation(b[at:], order)
}

func byteOrder(b []byte) binary.ByteOrder {
	if len(b) < 2 {
		return nil
	}
	switch string(b[:2]) {
	case "II":
		return binary.LittleEndian
	case "MM":
		return binary.BigEndian
	}
	return nil
}

// directoryOrientation looks for tag 274, a short, among a directory's entries.
func directoryOrientation(b []byte, order binary.ByteOrder) int {
	if len(b) < 2 {
		return 1
	}
	entries := int(order.Uint16(b))
	for i := range min(entries, maxEntries) {
		at := 2 + 12*i
		if at+12 > len(b) {
			return 1
		}
		if order.Uint16(b[at:]) != 274 {
			continue
		}
		if v := int(order.Uint16(b[at+8:])); v >= 1 && v <= 8 {
			return v
		}
		return 1
	}
	return 1
}
