package sniff_test

import (
	"bytes"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"imagemill/internal/sniff"
)

// encoders write a real file of every format whose size is read.
var encoders = map[sniff.Format]func(io.Writer, image.Image) error{
	sniff.JPEG: func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) },
	sniff.PNG:  png.Encode,
	sniff.GIF:  func(w io.Writer, m image.Image) error { return gif.Encode(w, m, nil) },
	sniff.BMP:  bmp.Encode,
}

func encoded(t testing.TB, f sniff.Format, w, h int) []byte {
	var b bytes.Buffer
	require.NoError(t, encoders[f](&b, image.NewNRGBA(image.Rect(0, 0, w, h))))
	return b.Bytes()
}

func TestRealFilesAreKnownAndMeasured(t *testing.T) {
	for format := range encoders {
		b := encoded(t, format, 37, 11)
		info, ok := sniff.Header(b)
		assert.True(t, ok, format)
		assert.Equal(t, sniff.Info{Format: format, Width: 37, Height: 11}, info)
		assert.True(t, format.Readable())
		for n := range min(len(b), 200) {
			if short, ok := sniff.Header(b[:n]); ok {
				assert.Equal(t, info, short, "%s cut at %d", format, n)
			}
		}
	}
}

func TestTIFFIsKnownButNotLookedInto(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, tiff.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 3)), nil))
	info, ok := sniff.Header(b.Bytes())
	assert.False(t, ok)
	assert.Equal(t, sniff.Info{Format: sniff.TIFF}, info)
}

func TestMagicBytes(t *testing.T) {
	bmpText := "BM is how this text begins, and no picture."
	for _, c := range []struct {
		prefix string
		want   sniff.Format
	}{
		{"", sniff.Unknown}, {"B", sniff.Unknown}, {bmpText, sniff.Unknown}, {"hello, I am a text", sniff.Unknown},
		{"RIFF\x10\x00\x00\x00WEBPVP8 ", sniff.WebP}, {"RIFF\x10\x00\x00\x00WAVEfmt ", sniff.Unknown},
		{"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00", sniff.AVIF},
		{"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1", sniff.HEIC},
		{"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00avif", sniff.AVIF},
		{"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00mp41", sniff.Unknown},
		{"\xff\x0a\x00\x00", sniff.JXL}, {"%PDF-1.7", sniff.PDF}, {"8BPS\x00\x01", sniff.PSD},
		{"\x00\x00\x01\x00\x01\x00", sniff.ICO}, {"MM\x00*\x00\x00", sniff.TIFF}, {"\xff\xd8\xff\xe0", sniff.JPEG},
		{"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<svg width='1'>", sniff.SVG}, {"<html><body>", sniff.Unknown},
	} {
		assert.Equal(t, c.want, sniff.Sniff([]byte(c.prefix)), "%q", c.prefix)
	}
}

func TestEveryFormatIsDescribed(t *testing.T) {
	assert.Equal(t, "application/octet-stream", sniff.Unknown.MIME())
	assert.Equal(t, ".bin", sniff.Unknown.Extension())
	assert.Equal(t, "unknown", sniff.Unknown.Name())
	assert.False(t, sniff.WebP.Readable())
	assert.Equal(t, "image/webp", sniff.WebP.MIME())
	assert.Equal(t, ".jpg", sniff.JPEG.Extension())
	assert.Equal(t, "JPEG XL", sniff.JXL.Name())
}

func TestGiantHeadersAreMeasuredNotBelieved(t *testing.T) {
	b := encoded(t, sniff.PNG, 1, 1)
	copy(b[16:24], []byte{0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50})
	info, ok := sniff.Header(b)
	require.True(t, ok)
	assert.Equal(t, int64(2_500_000_000), info.Pixels())
}

// Where the standard library's decoders read a header, so does this package,
// and comes to the same size.
func TestHostileHeadersAgreeWithTheDecoders(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "hostile", "*"))
	if len(files) == 0 {
		t.Skip("the folder of hostile files is not here")
	}
	decoders := map[sniff.Format]func(io.Reader) (image.Config, error){
		sniff.JPEG: jpeg.DecodeConfig, sniff.PNG: png.DecodeConfig, sniff.GIF: gif.DecodeConfig, sniff.BMP: bmp.DecodeConfig,
	}
	agreed := 0
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		info, ok := sniff.Header(b)
		decode := decoders[info.Format]
		if decode == nil {
			continue
		}
		config, err := decode(bytes.NewReader(b))
		if err != nil {
			continue
		}
		assert.True(t, ok, name)
		assert.Equal(t, [2]int{config.Width, config.Height}, [2]int{info.Width, info.Height}, name)
		agreed++
	}
	t.Logf("%d of %d files measured alike", agreed, len(files))
	assert.Greater(t, agreed, 200)
}

func FuzzHeader(f *testing.F) {
	for format := range encoders {
		f.Add(encoded(f, format, 5, 7))
	}
	f.Add([]byte("\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00avif"))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, ok := sniff.Header(b)
		if info.Format != sniff.Sniff(b) || info.Width < 0 || info.Height < 0 || ok && info.Format == sniff.Unknown {
			t.Fatalf("%+v %v", info, ok)
		}
	})
}

func ExampleHeader() {
	var b bytes.Buffer
	_ = png.Encode(&b, image.NewGray(image.Rect(0, 0, 640, 480)))
	info, ok := sniff.Header(b.Bytes())
	fmt.Println(info.Format.MIME(), info.Width, info.Height, ok)
	// Output: image/png 640 480 true
}
