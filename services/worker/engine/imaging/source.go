package imaging

import (
	"bufio"
	"bytes"
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
	"golang.org/x/image/webp"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/exif"
	"imagemill/services/worker/engine/header"
	"imagemill/services/worker/engine/smalljpeg"
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
	sniff.WebP: {webp.DecodeConfig, webp.Decode},
}

// source is an opened original of which only the header has been read.
type source struct {
	*os.File
	done func()
	engine.Picture
	format  sniff.Format
	decoder decoder
	size    int64
	whole   []byte // a small file, all of it
	exif    []byte // the EXIF block of a JPEG or PNG as it stands there
	block   exif.Block
}

// open opens an original and reads its header; done is to be called at the end.
// Frames are counted up to one more than maxFrames.
func open(job engine.Job, maxFrames int) (*source, error) {
	file, done, err := job.Original()
	if err != nil {
		return nil, err
	}
	return read(file, done, maxFrames)
}

// read is open for a file that is open already; done is called on errors.
func read(file *os.File, done func(), maxFrames int) (*source, error) {
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
	if s.size == int64(len(prefix)) {
		s.whole = prefix
	}
	s.exif = exifOf(s.format, prefix)
	// What the header says beyond the size is told, and used where it is there.
	info, err := header.Read(s.at(), s.size, maxFrames)
	s.Picture, s.block = info.Picture, info.EXIF
	s.Format, s.Orientation = string(s.format), s.orientation(prefix)
	if err != nil || s.format != sniff.PNG {
		// The decoder's own word on the size counts: it is what it will allocate. A
		// PNG has it in a fixed place, where both look.
		config, err := s.decoder.config(s.reader())
		if err != nil {
			return s.damaged(err)
		}
		s.Width, s.Height, s.Frames = config.Width, config.Height, max(s.Frames, 1)
	}
	switch {
	case s.format == sniff.GIF:
		s.Frames = gifFrames(bufio.NewReader(s.reader()), maxFrames+1)
	case s.format == sniff.WebP && s.Frames > 1:
		return fault.New(fault.Unsupported, "an animated WebP cannot be read here; a WebP of one picture, or a GIF, can")
	}
	return nil
}

// at gives the file to read anywhere in.
func (s *source) at() io.ReaderAt {
	if s.whole != nil {
		return bytes.NewReader(s.whole)
	}
	return s.File
}

// reader gives the file from its beginning, buffered.
func (s *source) reader() reader {
	if s.whole != nil {
		return bytes.NewReader(s.whole)
	}
	return bufio.NewReader(io.NewSectionReader(s.File, 0, s.size))
}

// reader is what decoders read without a buffer of their own.
type reader interface {
	io.Reader
	io.ByteReader
}

// smallDecode reads the pixels of a JPEG at 1/shrink, nil when that cannot be had.
func (s *source) smallDecode(shrink int) image.Image {
	if shrink < 2 || s.format != sniff.JPEG || s.Interlaced || s.size > maxInMemory {
		return nil
	}
	b := make([]byte, s.size)
	if _, err := s.ReadAt(b, 0); err != nil {
		return nil
	}
	return smalljpeg.Decode(b, shrink, s.Width, s.Height)
}

// maxInMemory is the largest file in bytes that is read at once.
const maxInMemory = 64 << 20

// decode reads the pixels. The result begins at (0,0), is as large as the
// header said, and is of a type that a view can show.
func (s *source) decode() (image.Image, error) {
	img, err := s.decoder.whole(s.reader())
	if err != nil && s.format == sniff.JPEG && strings.Contains(err.Error(), "Adobe") {
		img, err = s.plainInks()
	}
	if err != nil {
		return nil, s.damaged(err)
	}
	if s.format == sniff.WebP {
		switch m := img.(type) {
		case *image.YCbCr:
			fullRange(m)
		case *image.NYCbCrA:
			fullRange(&m.YCbCr)
		}
	}
	canvas := image.Rect(0, 0, s.Width, s.Height)
	if img.Bounds() != canvas {
		// A GIF's frame may cover only a part of its screen.
		whole := image.NewNRGBA(canvas)
		draw.Draw(whole, img.Bounds(), img, img.Bounds().Min, draw.Src)
		return whole, nil
	}
	return workable(img), nil
}

// plainInks reads a JPEG of four inks that no Adobe segment explains, which the
// decoder asks for. It is taken for one of Adobe's, as the native engine does: inks
// are stored the other way round.
func (s *source) plainInks() (image.Image, error) {
	from := s.reader()
	if _, err := io.CopyN(io.Discard, from, 2); err != nil {
		return nil, err
	}
	const explained = "\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
	return s.decoder.whole(io.MultiReader(strings.NewReader(explained), from))
}

// workable brings a picture that begins at (0,0) to one of the types of view.
func workable(img image.Image) image.Image {
	switch m := img.(type) {
	case *image.YCbCr, *image.Gray, *image.NRGBA, *image.CMYK:
		return m
	case *image.Paletted:
		// Indices beyond the palette would be a panic in encoders.
		for len(m.Palette) < maxColors {
			m.Palette = append(m.Palette, color.NRGBA{A: 255})
		}
		return m
	case *image.Gray16:
		out := image.NewGray(m.Rect)
		for i := range out.Pix {
			out.Pix[i] = m.Pix[2*i]
		}
		return out
	case *image.NYCbCrA:
		out := pixelsOf(&m.YCbCr)
		for y := range out.Rect.Max.Y {
			for x, a := range m.A[y*m.AStride:][:out.Rect.Max.X] {
				out.Pix[y*out.Stride+4*x+3] = a
			}
		}
		return out
	}
	return pixelsOf(img)
}

// unreadable is the failure of a file in a format that is not decoded here.
func unreadable(f sniff.Format, size int64) error {
	switch {
	case size == 0:
		return fault.New(fault.Unsupported, "the file is empty")
	case f == sniff.Unknown:
		return fault.New(fault.Unsupported, "the file is not a picture that is known here; JPEG, PNG, GIF, WebP, TIFF and BMP are")
	default:
		return fault.Newf(fault.Unsupported, "%s cannot be read here; JPEG, PNG, GIF, WebP, TIFF and BMP can", f.Name())
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
