package imaging

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"image"
	"io"

	"imagemill/internal/sniff"
	"imagemill/services/worker/engine"
)

// colours gives what turns the original's colours, as they were decoded, into
// sRGB, nil for nothing. Inks always need something: see usualInks.
func (s *source) colours(m image.Image) *transform {
	_, inks := m.(*image.CMYK)
	if s.Profile == "" || s.Profile == engine.ProfileSRGB {
		if inks {
			return usualInks()
		}
		return nil
	}
	t := newTransform(s.profile())
	switch {
	case inks && (t == nil || !t.inks):
		return usualInks()
	case !inks && t != nil && t.inks:
		return nil
	}
	return t
}

// profile finds the embedded ICC profile; nil when there is none or it lies
// beyond what is looked at: for inks twice of what a profile may have, for others
// a quarter of it.
func (s *source) profile() []byte {
	most := int64(maxProfile / 4)
	if s.Chroma == engine.ChromaCMYK {
		most = maxProfile
	}
	head := make([]byte, min(s.size, 2*most))
	n, _ := s.ReadAt(head, 0)
	head = head[:n]
	switch s.format {
	case sniff.JPEG:
		return jpegProfile(head)
	case sniff.PNG:
		return pngProfile(head)
	case sniff.WebP:
		return webpProfile(head)
	case sniff.TIFF:
		return s.tiffProfile(head)
	default:
		return nil
	}
}

// jpegProfile joins the segments that a profile is spread over, in the order of
// their numbers.
func jpegProfile(b []byte) []byte {
	var parts [256][]byte
	for i := 2; i+4 <= len(b) && b[i] == 0xff; {
		marker := b[i+1]
		if marker == 0xff {
			i++
			continue
		}
		end := i + 2 + int(binary.BigEndian.Uint16(b[i+2:]))
		if marker == 0xda || marker == 0xd9 || end < i+4 || end > len(b) {
			break
		}
		if body := b[i+4 : end]; marker == 0xe2 && len(body) > 14 && string(body[:12]) == "ICC_PROFILE\x00" {
			parts[body[12]] = body[14:]
		}
		i = end
	}
	return bytes.Join(parts[:], nil)
}

// pngProfile unpacks the iCCP chunk.
func pngProfile(b []byte) []byte {
	for i := 8; i+8 <= len(b); {
		size, kind := int64(binary.BigEndian.Uint32(b[i:])), string(b[i+4:i+8])
		end := int64(i) + 8 + size
		if kind == "IDAT" || end > int64(len(b)) {
			return nil
		}
		if kind == "iCCP" {
			_, packed, ok := bytes.Cut(b[i+8:end], []byte{0})
			if !ok || len(packed) < 1 {
				return nil
			}
			r, err := zlib.NewReader(bytes.NewReader(packed[1:]))
			if err != nil {
				return nil
			}
			profile, err := io.ReadAll(io.LimitReader(r, maxProfile+1))
			if err != nil {
				return nil
			}
			return profile
		}
		i = int(end) + 4
	}
	return nil
}

// webpProfile finds the ICCP chunk.
func webpProfile(b []byte) []byte {
	for i := int64(12); i+8 <= int64(len(b)); {
		size := int64(binary.LittleEndian.Uint32(b[i+4:]))
		end := i + 8 + size
		if end > int64(len(b)) {
			return nil
		}
		if string(b[i:i+4]) == "ICCP" {
			return b[i+8 : end]
		}
		i = end + size%2
	}
	return nil
}

// tiffProfile finds the tag 34675 of the first directory.
func (s *source) tiffProfile(head []byte) []byte {
	order := byteOrder(head)
	if order == nil || len(head) < 8 {
		return nil
	}
	table := make([]byte, 2+maxEntries*12)
	n, _ := s.ReadAt(table, int64(order.Uint32(head[4:])))
	if table = table[:n]; len(table) < 2 {
		return nil
	}
	entries := int(order.Uint16(table))
	for row := table[2:]; len(row) >= 12 && entries > 0; row, entries = row[12:], entries-1 {
		if size := order.Uint32(row[4:]); order.Uint16(row) == 34675 && size > 4 && size <= maxProfile {
			profile := make([]byte, size)
			n, _ := s.ReadAt(profile, int64(order.Uint32(row[8:])))
			return profile[:n]
		}
	}
	return nil
}
