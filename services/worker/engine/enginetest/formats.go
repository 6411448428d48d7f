package enginetest

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"imagemill/pkg/pipeline"
)

// formatsIn reads the same picture out of every format and depth.
func (s Suite) formatsIn(t *testing.T) {
	m := Quadrants(48, 32)
	deep := image.NewNRGBA64(m.Rect)
	draw.Draw(deep, m.Rect, m, image.Point{}, draw.Src)
	indexed := image.NewPaletted(m.Rect, color.Palette{red, green, blue, yellow})
	draw.Draw(indexed, m.Rect, m, image.Point{}, draw.Src)
	var bitmap, tagged bytes.Buffer
	require.NoError(t, bmp.Encode(&bitmap, m))
	require.NoError(t, tiff.Encode(&tagged, m, &tiff.Options{Compression: tiff.Deflate}))
	for name, c := range map[string]struct {
		original []byte
		format   string
		within   int
	}{
		"png": {PNG(t, m), "png", 0}, "png of 16 bits": {PNG(t, deep), "png", 0}, "png with palette": {PNG(t, indexed), "png", 0},
		"jpeg": {JPEG(t, m, 0), "jpeg", 12}, "bmp": {bitmap.Bytes(), "bmp", 0}, "tiff": {tagged.Bytes(), "tiff", 0},
		"tiff turned": {orientedTIFF(tagged.Bytes(), 1), "tiff", 0},
	} {
		report, err := s.Render(t, c.original, `[{"op":"flip","horizontal":true}]`)
		require.NoError(t, err, name)
		require.Equal(t, c.format, report.Original.Format)
		for i, want := range [4]color.NRGBA{green, red, yellow, blue} {
			near(t, want, corners(Open(t, report.Renditions[0]))[i], c.within, name, "corner", i)
		}
	}
	// The first frame of an animation, at its place on the whole screen.
	frame := s.Picture(t, Animation(t, 3), "")
	require.Equal(t, image.Pt(8, 8), frame.Bounds().Size())
	near(t, red, at(frame, 6, 6), 0)
	require.Zero(t, at(frame, 1, 1).A)
}

// formatsOut writes every format and resolves the one that is left out.
func (s Suite) formatsOut(t *testing.T) {
	m := Quadrants(48, 32)
	clear := Quadrants(48, 32)
	clear.SetNRGBA(0, 0, color.NRGBA{})
	var bitmap, tagged bytes.Buffer
	require.NoError(t, bmp.Encode(&bitmap, m))
	require.NoError(t, tiff.Encode(&tagged, clear, nil))
	for _, c := range []struct {
		original []byte
		want     pipeline.Format
		says     pipeline.Format
	}{
		{PNG(t, m), "png", ""},
		{JPEG(t, m, 0), "jpeg", ""},
		{Animation(t, 1), "gif", ""},
		{bitmap.Bytes(), "jpeg", ""},
		{tagged.Bytes(), "tiff", ""},
		{PNG(t, m), "jpeg", "jpeg"},
		{PNG(t, m), "gif", "gif"},
		{JPEG(t, m, 0), "png", "png"},
	} {
		says := ""
		if c.says != "" {
			says = `"format":"` + string(c.says) + `"`
		}
		report, err := s.Render(t, c.original, `{"renditions":[{`+says+`}]}`)
		require.NoError(t, err)
		require.Equal(t, c.want, report.Renditions[0].Format)
		Open(t, report.Renditions[0])
	}
	coarse, err := s.Render(t, PNG(t, m), `{"renditions":[{"name":"a","format":"jpeg","quality":5},{"name":"b","format":"jpeg","quality":100}]}`)
	require.NoError(t, err)
	require.Less(t, coarse.Renditions[0].Bytes, coarse.Renditions[1].Bytes)
	exact := s.Picture(t, PNG(t, m), `{"renditions":[{"format":"gif"}]}`)
	for i, want := range [4]color.NRGBA{red, green, blue, yellow} {
		near(t, want, corners(exact)[i], 0, "a GIF of four colours is exact")
	}
}

// transparency keeps it where the format can, and lays it over a colour where
// the format cannot.
func (s Suite) transparency(t *testing.T) {
	half := image.NewNRGBA(image.Rect(0, 0, 32, 32))
	draw.Draw(half, image.Rect(0, 0, 16, 32), image.NewUniform(red), image.Point{}, draw.Src)
	original := PNG(t, half)
	white := color.NRGBA{R: 255, G: 255, B: 255, A: 255}
	kept := s.Picture(t, original, `[{"op":"swapRedBlue"}]`)
	require.Zero(t, at(kept, 24, 16).A)
	onWhite := s.Picture(t, original, `{"renditions":[{"format":"jpeg"}]}`)
	near(t, white, at(onWhite, 28, 16), 6)
	near(t, red, at(onWhite, 4, 16), 12)
	onBlue := s.Picture(t, original, `{"renditions":[{"format":"jpeg","background":"#1e28d2"}]}`)
	near(t, blue, at(onBlue, 28, 16), 12)
	padded := s.Picture(t, original, `[{"op":"resize","width":64,"height":32,"fit":"pad","background":"#0ab43c"}]`)
	near(t, green, at(padded, 2, 16), 1)
	near(t, green, at(padded, 44, 16), 1, "what is padded shows the background through")
	clear := s.Picture(t, original, `[{"op":"resize","width":64,"height":32,"fit":"pad"}]`)
	require.Zero(t, at(clear, 2, 16).A)
	animated := s.Picture(t, original, `{"renditions":[{"format":"gif","operations":[{"op":"resize","width":99}]}]}`)
	require.Zero(t, at(animated, 90, 50).A)
	near(t, red, at(animated, 20, 50), 40)
}

// orientation sets generated pictures upright, out of every format that says
// how they lie, and leaves them when told to.
func (s Suite) orientation(t *testing.T) {
	stored := [4]color.NRGBA{red, green, blue, yellow}
	var tagged bytes.Buffer
	require.NoError(t, tiff.Encode(&tagged, Quadrants(48, 32), nil))
	for orientation, from := range [9][4]int{
		{0, 1, 2, 3}, {0, 1, 2, 3}, {1, 0, 3, 2}, {3, 2, 1, 0}, {2, 3, 0, 1}, {0, 2, 1, 3}, {2, 0, 3, 1}, {3, 1, 2, 0}, {1, 3, 0, 2},
	} {
		for _, original := range [][]byte{
			JPEG(t, Quadrants(48, 32), orientation), PNGWithExif(t, Quadrants(48, 32), orientation), orientedTIFF(tagged.Bytes(), orientation),
		} {
			report, err := s.Render(t, original, `{"renditions":[{"name":"up","format":"png"},{"name":"as-is","format":"png","autoOrient":false}]}`)
			require.NoError(t, err)
			up, asIs := corners(Open(t, report.Renditions[0])), corners(Open(t, report.Renditions[1]))
			for i := range up {
				near(t, stored[from[i]], up[i], 12, report.Original, "corner", i)
				near(t, stored[i], asIs[i], 12, report.Original, "corner", i)
			}
		}
	}
}

// orientedTIFF gives a little-endian TIFF another first directory, at its end,
// with an orientation among its entries.
func orientedTIFF(b []byte, orientation int) []byte {
	at := binary.LittleEndian.Uint32(b[4:])
	n := int(binary.LittleEndian.Uint16(b[at:]))
	out := bytes.Clone(b)
	if len(out)%2 == 1 {
		out = append(out, 0)
	}
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)))
	out = binary.LittleEndian.AppendUint16(out, uint16(n+1))
	entry := []byte{0x12, 0x01, 3, 0, 1, 0, 0, 0, byte(orientation), 0, 0, 0}
	for i := range n {
		e := b[int(at)+2+12*i:][:12]
		if entry != nil && binary.LittleEndian.Uint16(e) > 274 {
			out, entry = append(out, entry...), nil
		}
		out = append(out, e...)
	}
	return append(append(out, entry...), 0, 0, 0, 0)
}

// metadataIsDropped looks for the mark that the original carries.
func (s Suite) metadataIsDropped(t *testing.T) {
	original := JPEG(t, Quadrants(48, 32), 6)
	require.Contains(t, string(original), "GPS-SECRET")
	report, err := s.Render(t, original, `{"renditions":[{}]}`)
	require.NoError(t, err)
	out, err := os.ReadFile(report.Renditions[0].File)
	require.NoError(t, err)
	require.NotContains(t, string(out), "GPS-SECRET")
	require.NotContains(t, string(out), "Exif")
}

// cmyk looks at a JPEG in four inks without a profile, which is part of every Go
// installation's sources. How such inks look is a convention: a press as libvips
// knows one, by which the picture's mean colour is what stands here.
func (s Suite) cmyk(t *testing.T) {
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("the go command is not here: %v", err)
	}
	inks, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "src", "image", "testdata", "video-001.cmyk.jpeg"))
	if err != nil {
		t.Skipf("the sources of Go are not here: %v", err)
	}
	near(t, color.NRGBA{R: 116, G: 81, B: 78, A: 255}, mean(s.Picture(t, inks, `[{"op":"resize","width":20}]`)), 3)
}
