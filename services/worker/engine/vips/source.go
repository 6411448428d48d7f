//go:build vips

package vips

import (
	"errors"
	"fmt"
	"image"
	"image/draw"
	"io"
	"os"

	"golang.org/x/image/bmp"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/services/worker/engine"
)

// source is an original of which only the header has been read.
type source struct {
	engine.Picture
	path   string
	format sniff.Format
	header ref // as libvips reads it, pixels not decoded; nil for a BMP
}

// open sniffs an original and reads its header. What the header says is held
// to the limits before libvips sees the file, where it can be read without.
func (s *scope) open(path string, limits engine.Limits) (*source, error) {
	prefix, size, err := beginning(path)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "the original cannot be read now", err)
	}
	src := &source{path: path, format: sniff.Sniff(prefix)}
	if !readable(src.format) {
		return nil, unreadable(src.format, size)
	}
	src.Picture = engine.Picture{Format: string(src.format), Orientation: 1, Frames: 1}
	if info, ok := sniff.Header(prefix); ok {
		src.Width, src.Height = info.Width, info.Height
		if err := limits.CheckInput(src.format.Name(), src.Picture); err != nil {
			return nil, err
		}
	}
	if src.format == sniff.BMP {
		return src, src.bitmapHeader()
	}
	if src.header, err = s.load(path, src.format, loading{stream: true}); err != nil {
		return nil, damaged(src.format, err)
	}
	src.Width, src.Height = width(src.header), number(src.header, "page-height", height(src.header))
	if o := number(src.header, "orientation", 1); o >= 1 && o <= 8 {
		src.Orientation = o
	}
	if src.animation() {
		src.Frames = number(src.header, "n-pages", 1)
	}
	return src, limits.CheckInput(src.format.Name(), src.Picture)
}

// animation reports whether the pictures of the file are frames, not pages.
func (s *source) animation() bool { return s.format == sniff.GIF || s.format == sniff.WebP }

// beginning reads the first bytes of a file and its size.
func beginning(path string) ([]byte, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("open original: %w", err)
	}
	defer func() { _ = file.Close() }()
	stat, err := file.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("stat original: %w", err)
	}
	prefix := make([]byte, min(stat.Size(), sniff.PrefixBytes))
	n, err := file.ReadAt(prefix, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, fmt.Errorf("read original: %w", err)
	}
	return prefix[:n], stat.Size(), nil
}

// bitmapHeader reads the header of a BMP, which is decoded in Go.
func (s *source) bitmapHeader() error {
	file, err := os.Open(s.path)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "the original cannot be read now", fmt.Errorf("open original: %w", err))
	}
	defer func() { _ = file.Close() }()
	config, err := bmp.DecodeConfig(file)
	if err != nil {
		return damaged(s.format, err)
	}
	s.Width, s.Height = config.Width, config.Height
	return nil
}

// bitmap decodes a BMP.
func (s *scope) bitmap(path string) (ref, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "the original cannot be read now", fmt.Errorf("open original: %w", err))
	}
	defer func() { _ = file.Close() }()
	m, err := bmp.Decode(file)
	if err != nil {
		return nil, damaged(sniff.BMP, err)
	}
	return s.fromImage(m)
}

// fromImage copies a picture of the standard library's.
func (s *scope) fromImage(m image.Image) (ref, error) {
	n, ok := m.(*image.NRGBA)
	if !ok || n.Stride != 4*n.Rect.Dx() {
		n = image.NewNRGBA(image.Rect(0, 0, m.Bounds().Dx(), m.Bounds().Dy()))
		draw.Draw(n, n.Rect, m, m.Bounds().Min, draw.Src)
	}
	return s.fromPixels(n.Pix, n.Rect.Dx(), n.Rect.Dy(), 4)
}
