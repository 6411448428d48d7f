package imaging

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/services/worker/engine"
)

// decoder reads one format: its header alone, and the whole.
type decoder struct {
	config func(io.Reader) (image.Config, error)
	whole  func(io.Reader) (image.Image, error)
}

var decoders = map[sniff.Format]decoder{
	sniff.JPEG: {jpeg.DecodeConfig, jpeg.Decode},
	sniff.PNG:  {png.DecodeConfig, png.Decode},
	sniff.GIF:  {gif.DecodeConfig, gif.Decode},
	sniff.TIFF: {tiff.DecodeConfig, tiff.Decode},
	sniff.BMP:  {bmp.DecodeConfig, bmp.Decode},
}

// source is an opened original of which only the header has been read.
type source struct {
	*os.File
	done func()
	engine.Picture
	format  sniff.Format
	decoder decoder
	size    int64
}

// open opens an original and reads its header; done is to be called at the end.
// Frames are counted up to one more than maxFrames.
func open(job engine.Job, maxFrames int) (*source, error) {
	file, done, err := job.Original()
	if err != nil {
		return nil, err
	}
	s := &source{File: file, done: done}
	if err := s.readHeader(maxFrames); err != nil {
		done()
		return nil, err
	}
	return s, nil
}

func (s *source) readHeader(maxFrames int) error {
	stat, err := s.Stat()
	if err != nil {
		return fault.Wrap(fault.Unavailable, "the original cannot be read now", fmt.Errorf("stat original: %w", err))
	}
	s.size = stat.Size()
	prefix := make([]byte, min(s.size, sniff.PrefixBytes))
	if _, err := s.ReadAt(prefix, 0); err != nil && !errors.Is(err, io.EOF) {
		return fault.Wrap(fault.Unavailable, "the original cannot be read now", fmt.Errorf("read original: %w", err))
	}
	s.format = sniff.Sniff(prefix)
	var ok bool
	if s.decoder, ok = decoders[s.format]; !ok {
		return unreadable(s.format, s.size)
	}
	config, err := s.decoder.config(s.reader())
	if err != nil {
		return s.damaged(err)
	}
	s.Picture = engine.Picture{
		Format: string(s.format), Width: config.Width, Height: config.Height, Orientation: s.orientation(prefix), Frames: 1,
	}
	if s.format == sniff.GIF {
		s.Frames = gifFrames(s.reader(), maxFrames+1)
	}
	return nil
}

// reader gives the file from its beginning, buffered.
func (s *source) reader() *bufio.Reader {
	return bufio.NewReader(io.NewSectionReader(s.File, 0, s.size))
}

// decode reads the pixels. The result begins at (0,0), is as large as the
// header said, and is of a type that every step can work on.
func (s *source) decode() (image.Image, error) {
	img, err := s.decoder.whole(s.reader())
	if err != nil {
		return nil, s.damaged(err)
	}
	canvas := image.Rect(0, 0, s.Width, s.Height)
	switch m := img.(type) {
	case *image.CMYK:
		// The drawing of CMYK is fast; reading it pixel by pixel is not.
		rgb := image.NewRGBA(m.Bounds())
		draw.Draw(rgb, rgb.Rect, m, m.Rect.Min, draw.Src)
		img = rgb
	case *image.Paletted:
		// Indices beyond the palette would be a panic in the steps.
		for len(m.Palette) < 256 {
			m.Palette = append(m.Palette, color.NRGBA{A: 255})
		}
	}
	if img.Bounds() != canvas {
		// A GIF's frame may cover only a part of its screen.
		whole := image.NewNRGBA(canvas)
		draw.Draw(whole, img.Bounds(), img, img.Bounds().Min, draw.Src)
		img = whole
	}
	return img, nil
}

// unreadable is the failure of a file in a format that is not decoded here.
func unreadable(f sniff.Format, size int64) error {
	switch {
	case size == 0:
		return fault.New(fault.Unsupported, "the file is empty")
	case f == sniff.Unknown:
		return fault.New(fault.Unsupported, "the file is not a picture that is known here; JPEG, PNG, GIF, TIFF and BMP are")
	default:
		return fault.Newf(fault.Unsupported, "%s cannot be read here; JPEG, PNG, GIF, TIFF and BMP can", f.Name())
	}
}

// damaged turns a decoder's error into one for the user.
func (s *source) damaged(err error) error {
	var pathError *os.PathError
	text := strings.ToLower(err.Error())
	name := s.format.Name()
	switch {
	case errors.As(err, &pathError):
		return fault.Wrap(fault.Unavailable, "the original cannot be read now", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(text, "unexpected eof"), strings.Contains(text, "not enough"), strings.Contains(text, "short huffman"):
		return fault.Wrap(fault.Unprocessable, "the "+name+" ends before the picture is complete", err)
	case strings.Contains(text, "unsupported"):
		return fault.Wrap(fault.Unsupported, "the "+name+" uses a feature that cannot be read here ("+detail(err)+")", err)
	}
	return fault.Wrap(fault.Unprocessable, "the "+name+" is damaged ("+detail(err)+")", err)
}

// detail is the decoder's own sentence without the name of its package.
func detail(err error) string {
	text := err.Error()
	if _, rest, ok := strings.Cut(text, ": "); ok {
		text = rest
	}
	return text[:min(len(text), 120)]
}
