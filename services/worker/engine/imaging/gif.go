package imaging

import (
	"bufio"
	"image"
	"io"

	"imagemill/services/worker/engine/mediancut"
)

// maxColors is what a palette can hold.
const maxColors = 256

// forGIF brings a picture to at most so many colours, 0 for as many as a palette
// can hold.
func forGIF(m image.Image, colors int) *image.Paletted {
	if p, ok := m.(*image.Paletted); ok && p.Rect.Min == (image.Point{}) && (colors == 0 || colors == maxColors) {
		return p
	}
	if colors == 0 {
		colors = maxColors
	}
	return mediancut.Index(m, colors)
}

// gifFrames counts the pictures of a GIF without decoding any, up to most. A
// file that breaks off counts for what it holds, at least 1.
func gifFrames(r *bufio.Reader, most int) int {
	var header [13]byte
	if _, err := io.ReadFull(r, header[:]); err != nil || !skipColors(r, header[10]) {
		return 1
	}
	frames := 0
	for frames < most {
		block, err := r.ReadByte()
		if err != nil {
			break
		}
		switch block {
		case 0x21: // extension: its label, then sub-blocks
			_, err = r.Discard(1)
		case 0x2c: // picture: descriptor, colours, code size, sub-blocks
			var d [9]byte
			_, err = io.ReadFull(r, d[:])
			if err == nil && skipColors(r, d[8]) {
				_, err = r.Discard(1)
			}
			frames++
		default:
			return max(frames, 1)
		}
		if err != nil || !skipBlocks(r) {
			break
		}
	}
	return max(frames, 1)
}

// skipColors skips a colour table when the flags say that there is one.
func skipColors(r *bufio.Reader, flags byte) bool {
	if flags&0x80 == 0 {
		return true
	}
	_, err := r.Discard(3 << (flags&7 + 1))
	return err == nil
}

// skipBlocks skips sub-blocks up to and with the empty one.
func skipBlocks(r *bufio.Reader) bool {
	for {
		n, err := r.ReadByte()
		if err != nil {
			return false
		}
		if n == 0 {
			return true
		}
		if _, err := r.Discard(int(n)); err != nil {
			return false
		}
	}
}
