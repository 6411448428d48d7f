//go:build vips

package vips

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/services/worker/engine"
)

// What is looked at of a picture inside an SVG, in bytes.
const (
	searched   = 256 << 10 // at a time
	headOfData = 64 << 10  // of its base64
)

// embedded holds the pictures that stand inside an SVG as data to the limits, all
// together, by their headers: they are decoded whole, however small they are drawn.
func embedded(file *os.File, size int64, limits engine.Limits) error {
	mark := []byte("base64,")
	block := make([]byte, searched+len(mark)-1)
	var pixels int64
	for at := int64(0); at < size; at += searched {
		n, err := file.ReadAt(block, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return fault.Wrap(fault.Unavailable, "the original cannot be read now", fmt.Errorf("read SVG: %w", err))
		}
		for b, from := block[:n], at; ; {
			i := bytes.Index(b, mark)
			if i < 0 || i >= searched {
				break
			}
			b, from = b[i+len(mark):], from+int64(i+len(mark))
			pixels += embeddedPixels(file, from)
			if pixels < 0 || pixels > limits.InputPixels {
				return fault.Newf(fault.TooLarge, "the SVG holds pictures of more than %d pixels in all; that is the most allowed", limits.InputPixels)
			}
		}
	}
	return nil
}

// embeddedPixels is the area of a picture whose base64 begins at an offset; 0 if
// its header does not say.
func embeddedPixels(file *os.File, from int64) int64 {
	b := make([]byte, headOfData)
	n, _ := file.ReadAt(b, from) // what can be had
	text := bytes.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, b[:n])
	if end := bytes.IndexAny(text, `"')&<`); end >= 0 {
		text = text[:end]
	}
	text = bytes.TrimRight(text[:len(text)/4*4], "=")
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	n, _ = base64.RawStdEncoding.Decode(out, text) // as far as it is base64
	info, _ := sniff.Header(out[:n])
	return info.Pixels()
}
