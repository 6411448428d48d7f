package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"sync/atomic"
)

// pictures gives what makes the next picture to upload; it is safe for
// concurrent use. Callers must not change the bytes.
func pictures(kind string) (func() []byte, error) {
	switch kind {
	case "tiny":
		return tinyPictures()
	case "12mp":
		b, err := largePicture()
		return func() []byte { return b }, err
	}
	b, err := os.ReadFile(kind)
	if err != nil {
		return nil, fmt.Errorf("--picture: %w", err)
	}
	return func() []byte { return b }, nil
}

// tinyPictures encodes one 64×64 PNG and makes the others of it, each with
// pixels of its own: a palette's entry holds the number, so that no encoder
// runs while something is measured.
func tinyPictures() (func() []byte, error) {
	palette := make(color.Palette, 256)
	for i := range palette {
		palette[i] = color.RGBA{R: uint8(i), G: uint8(255 - i), B: uint8(i * 7), A: 255}
	}
	m := image.NewPaletted(image.Rect(0, 0, 64, 64), palette)
	for i := range m.Pix {
		m.Pix[i] = byte(((i%64)*4 ^ (i/64)*2) & 0xff)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		return nil, fmt.Errorf("encode picture: %w", err)
	}
	chunk := bytes.Index(b.Bytes(), []byte("PLTE"))
	// A new start each time, so that two runs have no picture in common either.
	var n atomic.Uint64
	n.Store(rand.Uint64())
	// The factor is odd, so all products differ, and those of neighbours by much.
	return func() []byte { return numbered(b.Bytes(), chunk, n.Add(1)*0x9e3779b97f4a7c15) }, nil
}

// numbered copies a PNG and writes n over the first entries of the palette,
// whose chunk's name is at the offset.
func numbered(original []byte, chunk int, n uint64) []byte {
	out := bytes.Clone(original)
	size := int(binary.BigEndian.Uint32(out[chunk-4:]))
	binary.BigEndian.PutUint64(out[chunk+4:], n)
	end := chunk + 4 + size
	binary.BigEndian.PutUint32(out[end:], crc32.ChecksumIEEE(out[chunk:end]))
	return out
}

// largePicture is a JPEG of 4000×3000 with as much detail as a photograph has:
// about 4 MB.
func largePicture() ([]byte, error) {
	m := image.NewYCbCr(image.Rect(0, 0, 4000, 3000), image.YCbCrSubsampleRatio420)
	noise := uint32(1)
	for i := range m.Y {
		noise = noise*1664525 + 1013904223
		x, y := i%m.YStride, i/m.YStride
		m.Y[i] = uint8((x*y>>9)&0x7f) + uint8(noise>>27) + 32
	}
	for i := range m.Cb {
		m.Cb[i], m.Cr[i] = uint8(i>>7), uint8(i>>13)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}); err != nil {
		return nil, fmt.Errorf("encode picture: %w", err)
	}
	return b.Bytes(), nil
}
