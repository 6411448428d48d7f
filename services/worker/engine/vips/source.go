//go:build vips

package vips

import (
	"bufio"
	"fmt"
	"image"
	"image/draw"
	"image/gif"
	"io"
	"math"
	"os"

	"golang.org/x/image/bmp"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/header"
)

// source is an original of which only the header has been read.
type source struct {
	header.Info
	// page is the one that Info is of, for a PDF.
	page int
	// unit is the size of a drawing in pixels that the library gives it at scale 1.
	unit   [2]float64
	file   *os.File
	close  func()
	format sniff.Format
	limits engine.Limits
}

// open takes what [engine.Job.Original] or [engine.Job.Asset] gave, reads the
// header, without libvips, and holds it to the limits. The caller closes it.
func open(file *os.File, done func(), err error, how reading) (*source, error) {
	if err != nil {
		return nil, err
	}
	src, err := read(file, how)
	if err != nil {
		done()
		return nil, err
	}
	src.close = done
	return src, nil
}

// reading is how an original is opened.
type reading struct {
	limits engine.Limits
	can    engine.Abilities
	page   int // of a document
}

func read(file *os.File, how reading) (*source, error) {
	stat, err := file.Stat()
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "the original cannot be read now", fmt.Errorf("stat original: %w", err))
	}
	info, err := header.Read(file, stat.Size(), how.limits.Frames)
	src := &source{Info: info, file: file, format: sniff.Format(info.Format), limits: how.limits, page: how.page}
	switch {
	case fault.Is(err, fault.Unavailable):
		return nil, err
	case !how.can.Reads(info.Format):
		return nil, unreadable(stat.Size(), src.format, how.can)
	case src.format == sniff.PDF:
		err = src.measure()
	case src.format == sniff.SVG && err == nil:
		err = embedded(file, stat.Size(), how.limits)
	}
	if err == nil {
		err = how.limits.CheckInput(src.format.Name(), src.Picture)
	}
	if err == nil && src.format == sniff.SVG {
		err = src.measure()
	}
	return src, err
}

// unreadable is the failure of a file in a format that is not decoded here.
func unreadable(size int64, f sniff.Format, can engine.Abilities) error {
	if size == 0 {
		return fault.New(fault.Unsupported, "the file is empty")
	}
	if f == sniff.Unknown {
		return fault.Newf(fault.Unsupported, "the file is not a picture that is known here; %s are", readableNames(can))
	}
	return fault.Newf(fault.Unsupported, "%s cannot be read here; %s can", f.Name(), readableNames(can))
}

// inGo are the formats whose single pictures are decoded in Go: BMP because
// libvips would need ImageMagick for it, and GIF because libvips gives the part
// of the screen that a first frame leaves free a colour.
var inGo = map[sniff.Format]func(io.Reader) (image.Image, error){
	sniff.BMP: bmp.Decode,
	sniff.GIF: gif.Decode,
}

// simple decodes one of those.
func (s *scope) simple(src *source) (ref, error) {
	m, err := inGo[src.format](bufio.NewReader(io.NewSectionReader(src.file, 0, math.MaxInt64)))
	if err != nil {
		return nil, err
	}
	whole := image.NewNRGBA(image.Rect(0, 0, src.Width, src.Height))
	draw.Draw(whole, m.Bounds(), full(m), m.Bounds().Min, draw.Src)
	return s.fromPixels(whole.Pix, src.Width, src.Height, 4)
}

// full gives a palette its 256 colours: indices beyond it would be a panic.
func full(m image.Image) image.Image {
	if p, ok := m.(*image.Paletted); ok {
		for len(p.Palette) < 256 {
			p.Palette = append(p.Palette, image.Black.C)
		}
	}
	return m
}
