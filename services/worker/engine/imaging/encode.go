package imaging

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"path/filepath"
	"sync"
	"syscall"

	lib "github.com/disintegration/imaging"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// encoderBuffers lets encoders use their buffers again; without it a tiny PNG
// costs mostly the making of a compressor.
type encoderBuffers struct {
	png, quick pngBuffers // by level: a buffer's compressor is of one only
	files      sync.Pool
}

// pngBuffers is a png.EncoderBufferPool; the zero value is ready.
type pngBuffers struct{ pool sync.Pool }

// Get implements png.EncoderBufferPool; nil makes the encoder make one.
func (b *pngBuffers) Get() *png.EncoderBuffer {
	buf, _ := b.pool.Get().(*png.EncoderBuffer)
	return buf
}

// Put implements png.EncoderBufferPool.
func (b *pngBuffers) Put(buf *png.EncoderBuffer) { b.pool.Put(buf) }

func newEncoderBuffers() *encoderBuffers {
	return &encoderBuffers{
		files: sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }},
	}
}

// target resolves pipeline.Same by what the original was and by whether the
// result has transparency.
func target(want pipeline.Format, original string, m image.Image) pipeline.Format {
	switch {
	case want != pipeline.Same:
		return want
	case original == string(sniff.JPEG), original == string(sniff.PNG), original == string(sniff.GIF):
		return pipeline.Format(original)
	case opaque(m):
		return pipeline.JPEG
	}
	return pipeline.PNG
}

// write encodes a finished picture into a file of dir.
func (e *Engine) write(dir string, m image.Image, original string, r pipeline.Rendition) (engine.Rendition, error) {
	format := target(r.Format, original, m)
	out := engine.Rendition{
		Name: r.Name, Width: m.Bounds().Dx(), Height: m.Bounds().Dy(),
		Format: format, ContentType: sniff.Format(format).MIME(),
		File: filepath.Join(dir, r.Name+sniff.Format(format).Extension()),
	}
	file, err := engine.CreateScratch(out.File)
	if err != nil {
		return out, unwritable(err)
	}
	w := e.buffers.files.Get().(*bufio.Writer)
	w.Reset(file)
	err = errors.Join(e.encode(w, m, format, r), w.Flush())
	w.Reset(nil)
	e.buffers.files.Put(w)
	if err := errors.Join(err, file.Close()); err != nil {
		return out, unwritable(err)
	}
	out.Bytes = file.Size()
	return out, nil
}

// encode writes a picture in a format.
func (e *Engine) encode(w io.Writer, m image.Image, format pipeline.Format, r pipeline.Rendition) error {
	switch format {
	case pipeline.JPEG:
		quality := r.Quality
		if quality == 0 {
			quality = pipeline.DefaultQuality
		}
		return jpeg.Encode(w, forJPEG(m, r.Background), &jpeg.Options{Quality: quality})
	case pipeline.GIF:
		return gif.Encode(w, forGIF(m), nil)
	default:
		encoder := png.Encoder{CompressionLevel: pngLevel(m.Bounds()), BufferPool: &e.buffers.png}
		if encoder.CompressionLevel == png.BestSpeed {
			encoder.BufferPool = &e.buffers.quick
		}
		if _, slow := m.(*image.YCbCr); slow {
			m = lib.Clone(m)
		}
		return encoder.Encode(w, m)
	}
}

const (
	// tinyPNG is the area in pixels up to which there is next to nothing to save.
	tinyPNG = 64 * 64
	// largePNG is the area from which speed counts for more than size.
	largePNG = 1 << 20
)

// pngLevel: BenchmarkPNG shows the fast level at a third of the time for a
// photograph, and an eighth more bytes; of 64×64 pixels, at 0.4 of the time and a
// thirtieth more bytes. What lies between takes the better one.
func pngLevel(r image.Rectangle) png.CompressionLevel {
	if area := r.Dx() * r.Dy(); area <= tinyPNG || area >= largePNG {
		return png.BestSpeed
	}
	return png.DefaultCompression
}

// forJPEG gives a picture in a type that the encoder has a fast path for. Its
// transparent parts show the background, which is white when not given.
func forJPEG(m image.Image, background pipeline.Color) image.Image {
	switch m.(type) {
	case *image.YCbCr, *image.Gray:
		return m
	}
	under := nrgba(background)
	if background == "" {
		under = nrgba("#ffffff")
	}
	under.A = 255
	n, ok := m.(*image.NRGBA)
	if !ok || !n.Opaque() {
		n = flatten(m, under)
	}
	// Opaque: multiplied and not multiplied by alpha are the same bytes.
	return &image.RGBA{Pix: n.Pix, Stride: n.Stride, Rect: n.Rect}
}

// unwritable is the failure to write a result; nothing is wrong with the picture.
func unwritable(err error) error {
	err = fmt.Errorf("write rendition: %w", err)
	if errors.Is(err, syscall.ENOSPC) {
		return fault.Wrap(fault.StorageFull, "the scratch disk is full", err)
	}
	return fault.Wrap(fault.Unavailable, "the result cannot be written now", err)
}
