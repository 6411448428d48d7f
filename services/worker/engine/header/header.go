// Package header reads what the header of a picture says, without decoding it:
// format, size, orientation, frames, and how its pixels are stored.
//
// Plans, limits and estimates of memory are made from it before any decoder
// sees the file. A header may lie: what it says bounds what an engine will try,
// and engines compare it with what they decode.
//
// Every file is hostile. The package reads a bounded part of it, in a bounded
// number of steps that all go forward, allocates nothing by what the file says
// beyond fixed bounds, and never panics. It does not judge what it finds:
// engine.Limits does.
package header

import (
	"errors"
	"fmt"
	"io"
	"os"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/exif"
)

// Info is what a header says.
type Info struct {
	engine.Picture
	// EXIF is the metadata block; its Fields are nil when there is none.
	EXIF exif.Block
	// Drawn is the exact width and height of a drawing (SVG) in pixels, which can be
	// rendered at any size; zero for pictures that are made of pixels.
	Drawn [2]float64
	// Moving says of a JPEG XL that it is an animation, whose frames are not counted.
	Moving bool
}

// Open reads the header of the file at path, as [Read] does. A file that cannot
// be read is fault.Unavailable.
func Open(path string, maxFrames int) (Info, error) {
	f, err := os.Open(path)
	if err != nil {
		return Info{}, fault.Wrap(fault.Unavailable, "the original cannot be read now", fmt.Errorf("open original: %w", err))
	}
	defer func() { _ = f.Close() }()
	stat, err := f.Stat()
	if err != nil {
		return Info{}, fault.Wrap(fault.Unavailable, "the original cannot be read now", fmt.Errorf("stat original: %w", err))
	}
	return Read(f, stat.Size(), maxFrames)
}

// Read reads the header of a picture of size bytes. Frames are counted up to
// maxFrames+1, so that too many can be told from enough.
//
// A format that is not read here is fault.Unsupported, a header that ends early
// or has no size in it fault.Unprocessable, and a read that fails
// fault.Unavailable. JPEG, PNG, GIF, WebP, TIFF, BMP, AVIF, HEIC, JPEG XL and SVG
// are read. AVIF, HEIC and JPEG XL carry their orientation as a part of the
// picture, which decoders apply: their size is that of the upright picture, their
// Orientation 1.
func Read(r io.ReaderAt, size int64, maxFrames int) (Info, error) {
	s := &source{r: r, size: size}
	format := sniff.Sniff(s.bytes(0, sniffBytes))
	if s.err != nil {
		return Info{}, fault.Wrap(fault.Unavailable, "the original cannot be read now", s.err)
	}
	info := Info{Picture: engine.Picture{Format: string(format), Orientation: 1, Frames: 1}}
	ok := false
	switch format {
	case sniff.JPEG:
		ok = readJPEG(s, &info)
	case sniff.PNG:
		ok = readPNG(s, &info, maxFrames+1)
	case sniff.GIF:
		ok = readGIF(s, &info, maxFrames+1)
	case sniff.WebP:
		ok = readWebP(s, &info, maxFrames+1)
	case sniff.TIFF:
		ok = readTIFF(s, &info)
	case sniff.BMP:
		ok = readBMP(s, &info)
	case sniff.AVIF, sniff.HEIC:
		ok = readHEIF(s, &info, maxFrames+1)
	case sniff.JXL:
		ok = readJXL(s, &info)
	case sniff.SVG:
		if err := readSVG(s, &info); err != nil && s.err == nil {
			return info, fault.Wrap(fault.Unprocessable, "the SVG cannot be read: "+err.Error(), err)
		}
		ok = true
	default:
		return info, unreadable(format, size)
	}
	switch {
	case s.err != nil:
		return info, fault.Wrap(fault.Unavailable, "the original cannot be read now", s.err)
	case !ok:
		return info, fault.Newf(fault.Unprocessable, "the %s ends before its header is complete, or the header is damaged", format.Name())
	case info.Width < 1 || info.Height < 1:
		return info, fault.Newf(fault.Unprocessable, "the %s has no pixels: its header says %d×%d", format.Name(), info.Width, info.Height)
	}
	return info, nil
}

// sniffBytes is enough to tell every format.
const sniffBytes = block

// readable names what is read here, for messages.
const readable = "JPEG, PNG, GIF, WebP, TIFF, BMP, AVIF, HEIC, JPEG XL and SVG"

func unreadable(f sniff.Format, size int64) error {
	switch {
	case size == 0:
		return fault.New(fault.Unsupported, "the file is empty")
	case f == sniff.Unknown:
		return fault.New(fault.Unsupported, "the file is not a picture that is known here; "+readable+" are")
	}
	return fault.Newf(fault.Unsupported, "the header of %s cannot be read here; that of "+readable+" can", f.Name())
}

// The bounds of one header.
const (
	block    = 4 << 10 // bytes that are read at a time
	maxReads = 16_384  // blocks of one header: up to 64 MiB of frames are walked
	maxSteps = 1 << 20 // segments, chunks and boxes of one header
)

// source reads a file in blocks, of which it keeps the last one.
type source struct {
	r      io.ReaderAt
	size   int64
	start  int64
	cache  []byte
	reads  int
	err    error
	steps  int
	buffer [block]byte
	// exif and profile say that one was looked into: only the first counts, so
	// that a file of many costs no more.
	exif, profile bool
}

// firstExif takes in a metadata block, unless there has been one.
func (s *source) firstExif(info *Info, b func() []byte) {
	if !s.exif {
		s.exif = true
		info.EXIF = exif.Parse(b())
		info.Orientation = info.EXIF.Orientation
	}
}

// firstProfile takes in a profile, unless there has been one.
func (s *source) firstProfile(info *Info, b func() []byte) {
	if !s.profile {
		s.profile = true
		info.Profile = profileOf(b())
	}
}

// step counts a turn of a walk; false when there have been too many.
func (s *source) step() bool {
	s.steps++
	return s.steps <= maxSteps && s.err == nil
}

// bytes gives n bytes at an offset, at most block, fewer at the end of the file.
// They are good until the next call.
func (s *source) bytes(at int64, n int) []byte {
	if at < 0 || at >= s.size || s.err != nil {
		return nil
	}
	n = min(n, block)
	if end := s.start + int64(len(s.cache)); at < s.start || at+int64(n) > end && end < s.size {
		if s.reads++; s.reads > maxReads {
			return nil
		}
		got, err := s.r.ReadAt(s.buffer[:min(block, s.size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			s.err = err
			return nil
		}
		s.start, s.cache = at, s.buffer[:got]
	}
	from := min(at-s.start, int64(len(s.cache)))
	return s.cache[from:min(from+int64(n), int64(len(s.cache)))]
}

// whole gives n bytes at an offset in memory of their own, fewer at the end. n
// is bounded by the caller.
func (s *source) whole(at, n int64) []byte {
	if at < 0 || at >= s.size || n <= 0 {
		return nil
	}
	b := make([]byte, min(n, s.size-at))
	got, err := s.r.ReadAt(b, at)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return b[:got]
}
