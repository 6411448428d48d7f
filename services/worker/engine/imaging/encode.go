package imaging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"path/filepath"
	"sync"
	"syscall"

	lib "github.com/disintegration/imaging"
	"golang.org/x/image/tiff"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/mediancut"
)

// encoderBuffers lets encoders use their buffers again; without it a tiny PNG
// costs mostly the making of a compressor.
type encoderBuffers struct {
	png, quick pngBuffers // by level: a buffer's compressor is of one only
	bodies     sync.Pool
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
		bodies: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
}

// buffer gives an empty buffer, to be given back after use.
func (b *encoderBuffers) buffer() *bytes.Buffer {
	body := b.bodies.Get().(*bytes.Buffer)
	body.Reset()
	return body
}

// result is an encoded picture.
type result struct {
	body *bytes.Buffer
	// extra is metadata that write puts in.
	extra []byte
}

// fits fails when the file is larger than is allowed.
func (b result) fits(r pipeline.Rendition) error {
	if r.MaxBytes == 0 || int64(b.body.Len()) <= r.MaxBytes {
		return nil
	}
	return fault.Newf(fault.Unprocessable, "the result has %d bytes, which cannot be made less; maxBytes is %d: make the picture smaller, or write a JPEG",
		b.body.Len(), r.MaxBytes).WithField("maxBytes")
}

// target resolves the formats that depend on the original, or on whether the
// result has transparency.
func target(want pipeline.Format, original string, m image.Image) pipeline.Format {
	switch {
	case want != pipeline.Same && want != pipeline.Auto:
		return want
	case want == pipeline.Auto:
	case original == string(sniff.JPEG), original == string(sniff.PNG), original == string(sniff.GIF), original == string(sniff.TIFF):
		return pipeline.Format(original)
	}
	if opaque(m) {
		return pipeline.JPEG
	}
	return pipeline.PNG
}

// write puts an encoded picture into a file of dir, and its buffer back.
func (e *Engine) write(dir, name string, format pipeline.Format, size image.Point, b result) (engine.Rendition, error) {
	defer e.buffers.bodies.Put(b.body)
	out := engine.Rendition{
		Name: name, Width: size.X, Height: size.Y, Path: engine.PathImaging,
		Format: format, ContentType: sniff.Format(format).MIME(),
		File: filepath.Join(dir, name+sniff.Format(format).Extension()),
	}
	file, err := engine.CreateScratch(out.File)
	if err != nil {
		return out, unwritable(err)
	}
	body := b.body.Bytes()
	if head, extra := attach(format, body, b.extra); extra != nil {
		_, err = file.Write(body[:head])
		if err == nil {
			_, err = file.Write(extra)
		}
		body = body[head:]
	}
	if err == nil {
		_, err = file.Write(body)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return out, unwritable(err)
	}
	out.Bytes = file.Size()
	return out, nil
}

// encoded writes a picture in a format into a buffer.
func (e *Engine) encoded(ctx context.Context, m image.Image, format pipeline.Format, r pipeline.Rendition) (result, error) {
	b := result{body: e.buffers.buffer()}
	var err error
	switch format {
	case pipeline.JPEG:
		return e.searched(ctx, forJPEG(m, r.Background), r)
	case pipeline.GIF:
		err = gif.Encode(b.body, forGIF(m, r.Colors), nil)
	case pipeline.TIFF:
		err = tiff.Encode(b.body, forTIFF(m), &tiff.Options{Compression: tiff.Deflate, Predictor: true})
	default:
		err = e.png(b.body, m, r)
	}
	if err != nil {
		return b, fmt.Errorf("encode %s: %w", format, err)
	}
	return b, b.fits(r)
}

func (e *Engine) png(w io.Writer, m image.Image, r pipeline.Rendition) error {
	encoder := png.Encoder{CompressionLevel: pngLevel(m.Bounds(), r.Effort), BufferPool: &e.buffers.png}
	if encoder.CompressionLevel == png.BestSpeed {
		encoder.BufferPool = &e.buffers.quick
	}
	if r.Colors > 0 {
		return encoder.Encode(w, mediancut.Index(m, r.Colors))
	}
	return encoder.Encode(w, forPNG(m))
}

// forPNG gives a picture in a type that the encoders have a fast path for.
func forPNG(m image.Image) image.Image {
	if p, slow := m.(*image.YCbCr); slow {
		return pixelsOf(p)
	}
	return m
}

// forTIFF gives a picture without gaps between its rows, behind which the encoder
// panics (golang.org/x/image, its predictor).
func forTIFF(m image.Image) image.Image {
	m = forPNG(m)
	switch p := m.(type) {
	case *image.Gray:
		if p.Stride != p.Rect.Dx() {
			whole := image.NewGray(image.Rectangle{Max: p.Rect.Size()})
			draw.Draw(whole, whole.Rect, p, p.Rect.Min, draw.Src)
			return whole
		}
	case *image.NRGBA:
		if p.Stride != 4*p.Rect.Dx() {
			return lib.Clone(p)
		}
	}
	return m
}

const (
	// tinyPNG is the area in pixels up to which there is next to nothing to save.
	tinyPNG = 64 * 64
	// largePNG is the area from which speed counts for more than size.
	largePNG = 1 << 20
)

// pngLevel: BenchmarkPNG shows the fast level at a third of the time for a
// photograph, and an eighth more bytes; of 64×64 pixels, at 0.4 of the time and a
// thirtieth more bytes. What lies between takes the better one. An effort that is
// given decides instead.
func pngLevel(r image.Rectangle, effort int) png.CompressionLevel {
	area := r.Dx() * r.Dy()
	switch {
	case effort >= 7:
		return png.BestCompression
	case effort >= 4:
		return png.DefaultCompression
	case effort >= 1, area <= tinyPNG, area >= largePNG:
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
	n := pixelsOf(m)
	if !n.Opaque() {
		n = flatten(m, under)
	}
	// Opaque: multiplied and not multiplied by alpha are the same bytes.
	return &image.RGBA{Pix: n.Pix, Stride: n.Stride, Rect: n.Rect}
}

// jpegAt writes a JPEG of a quality.
func jpegAt(b *bytes.Buffer, m image.Image, quality int) error {
	b.Reset()
	if err := jpeg.Encode(b, m, &jpeg.Options{Quality: quality}); err != nil {
		return fmt.Errorf("encode jpeg: %w", err)
	}
	return nil
}

// unwritable is the failure to write a result; nothing is wrong with the picture.
func unwritable(err error) error {
	err = fmt.Errorf("write rendition: %w", err)
	if errors.Is(err, syscall.ENOSPC) {
		return fault.Wrap(fault.StorageFull, "the scratch disk is full", err)
	}
	return fault.Wrap(fault.Unavailable, "the result cannot be written now", err)
}
