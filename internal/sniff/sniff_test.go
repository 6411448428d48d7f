package sniff_test

import (
	"bytes"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	webpdecoder "golang.org/x/image/webp"

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

func TestEveryFormOfHeaderIsMeasured(t *testing.T) {
	for _, c := range headers() {
		info, ok := sniff.Header(c.bytes)
		assert.True(t, ok, c.name)
		assert.Equal(t, sniff.Info{Format: c.format, Width: c.w, Height: c.h}, info, c.name)
		for n := range c.bytes {
			if short, ok := sniff.Header(c.bytes[:n]); ok {
				assert.Equal(t, c.format, short.Format, "%s cut at %d", c.name, n)
				assert.LessOrEqual(t, short.Pixels(), info.Pixels(), "%s cut at %d", c.name, n)
			}
		}
	}
	for prefix, format := range unmeasured() {
		info, ok := sniff.Header([]byte(prefix))
		assert.False(t, ok, "%.90q", prefix)
		assert.Equal(t, format, info.Format, "%.90q", prefix)
	}
}

// A writer may put the directory behind the pixels, beyond the prefix.
func TestTIFFIsMeasuredWhereItsDirectoryStandsInThePrefix(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, tiff.Encode(&b, image.NewGray(image.Rect(0, 0, 300, 200)), nil))
	info, ok := sniff.Header(b.Bytes())
	assert.True(t, ok)
	assert.Equal(t, sniff.Info{Format: sniff.TIFF, Width: 300, Height: 200}, info)
	info, ok = sniff.Header(b.Bytes()[:1000])
	assert.False(t, ok)
	assert.Equal(t, sniff.Info{Format: sniff.TIFF}, info)
}

func TestAreaBeyondCountingIsTheMost(t *testing.T) {
	assert.Equal(t, int64(math.MaxInt64), sniff.Info{Width: 1<<32 - 1, Height: 1<<32 - 1}.Pixels())
	assert.Equal(t, int64(6), sniff.Info{Width: 2, Height: 3}.Pixels())
	assert.Zero(t, sniff.Info{Width: 1 << 32}.Pixels())
}

// Files that libvips writes here are measured as it says.
func TestFilesOfLibvipsAreMeasured(t *testing.T) {
	vips, err := exec.LookPath("vips")
	if err != nil {
		t.Skip("there is no vips")
	}
	dir := t.TempDir()
	run := func(arg ...string) error { return exec.CommandContext(t.Context(), vips, arg...).Run() }
	black := filepath.Join(dir, "black.v")
	require.NoError(t, run("black", black, "124", "78", "--bands", "3"))
	measured := 0
	for _, name := range []string{
		"a.webp", "b.webp[lossless]", "c.webp[lossless,profile=srgb]", "d.avif", "e.heic", "f.jxl", "g.jxl[lossless]", "h.tif", "i.tif[compression=deflate,bigtiff]",
		"j.tif[tile,pyramid]", "k.jpg", "l.png", "m.gif",
	} {
		path := filepath.Join(dir, name)
		if run("copy", black, path) != nil {
			continue // built without this format
		}
		path, _, _ = strings.Cut(path, "[")
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		info, ok := sniff.Header(b)
		assert.True(t, ok, name)
		assert.Equal(t, [2]int{124, 78}, [2]int{info.Width, info.Height}, name)
		measured++
	}
	t.Logf("%d files measured", measured)
	assert.Greater(t, measured, 5)
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
		{"II+\x00\x08\x00\x00\x00", sniff.TIFF}, {"MM\x00+\x00\x08", sniff.TIFF}, {"\x00\x00\x01\x00\x01\x00", sniff.ICO}, {"MM\x00*\x00\x00", sniff.TIFF}, {"\xff\xd8\xff\xe0", sniff.JPEG},
		{"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<svg width='1'>", sniff.SVG}, {"<html><body>", sniff.Unknown}, {"<html><body><svg width='1' height='1'>", sniff.Unknown}, {"<svgs>", sniff.Unknown},
		{"<!-- " + strings.Repeat("a", 3000) + " --><svg>", sniff.SVG}, {"<!-- " + strings.Repeat("a", 5000) + " --><svg>", sniff.Unknown},
		{"a <svg>", sniff.Unknown}, {"<?xml", sniff.Unknown}, {"<svg", sniff.Unknown},
	} {
		assert.Equal(t, c.want, sniff.Sniff([]byte(c.prefix)), "%q", c.prefix)
	}
}

func TestEveryFormatIsDescribed(t *testing.T) {
	assert.Equal(t, "application/octet-stream", sniff.Unknown.MIME())
	assert.Equal(t, ".bin", sniff.Unknown.Extension())
	assert.Equal(t, "unknown", sniff.Unknown.Name())
	assert.True(t, sniff.WebP.Readable())
	assert.False(t, sniff.AVIF.Readable())
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
		sniff.WebP: webpdecoder.DecodeConfig, sniff.TIFF: tiff.DecodeConfig,
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
		if err != nil || config.Width == 0 || config.Height == 0 {
			continue
		}
		if !ok && info.Format == sniff.TIFF {
			continue // its directory may be anywhere, and odd
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
	for _, c := range headers() {
		f.Add(c.bytes)
	}
	for prefix := range unmeasured() {
		if len(prefix) < 1000 {
			f.Add([]byte(prefix))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		info, ok := sniff.Header(b)
		if info.Format != sniff.Sniff(b) || info.Width < 0 || info.Height < 0 || ok && info.Format == sniff.Unknown || info.Pixels() < 0 {
			t.Fatalf("%+v %v", info, ok)
		}
		if !ok && (info.Width != 0 || info.Height != 0) {
			t.Fatalf("%+v, though it is not known", info)
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
