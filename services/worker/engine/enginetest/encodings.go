package enginetest

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/ssim"
)

// cuts writes parts of a picture, whose rows do not lie side by side in memory,
// in every format: what stands in them is what a PNG shows.
func (s conformance) cuts(t *testing.T) {
	gray, scene := image.NewGray(image.Rect(0, 0, 120, 80)), Scene(120, 80)
	draw.Draw(gray, gray.Rect, scene, image.Point{}, draw.Src)
	clear := Scene(120, 80)
	for i := 3; i < len(clear.Pix); i += 4 {
		clear.Pix[i] = uint8(100 + i/4%120)
	}
	for name, original := range map[string][]byte{"opaque": PNG(t, scene), "grey": PNG(t, gray), "clear": PNG(t, clear), "jpeg": JPEG(t, scene, 6)} {
		const op = `"operations":[{"op":"crop","width":53,"height":41,"gravity":"southeast"}]}]}`
		golden := s.Picture(t, original, `{"renditions":[{"format":"png",`+op)
		for _, f := range s.can.Out {
			report, err := s.Render(t, original, `{"renditions":[{"format":"`+string(f)+`",`+op)
			require.NoError(t, err, "%s as %s", name, f)
			if f == pipeline.TIFF {
				mean, most, err := deltas(golden, Open(t, report.Renditions[0]))
				require.NoError(t, err)
				require.Less(t, mean, 0.1, "%s as %s", name, f)
				require.Less(t, most, 0.5, "%s as %s", name, f)
			}
		}
	}
}

// quality checks the search for the smallest file that is like enough, and for
// one that fits.
func (s conformance) quality(t *testing.T) {
	photo, err := os.ReadFile(Shared(t, "photos", "kodak-23.png"))
	require.NoError(t, err)
	exact := s.Picture(t, photo, `[{"op":"resize","width":300}]`)
	var sizes []int64
	for _, want := range []string{"0.9", "0.97", "0.99"} {
		report, err := s.Render(t, photo, `{"renditions":[{"format":"jpeg","quality":{"ssim":`+want+`},"operations":[{"op":"resize","width":300}]}]}`)
		require.NoError(t, err)
		like, err := ssim.Images(exact, Open(t, report.Renditions[0]))
		require.NoError(t, err)
		require.InDelta(t, map[string]float64{"0.9": 0.91, "0.97": 0.975, "0.99": 0.991}[want], like, 0.016)
		sizes = append(sizes, report.Renditions[0].Bytes)
	}
	require.Less(t, sizes[0], sizes[1])
	require.Less(t, sizes[1], sizes[2])
	for _, most := range []string{"6000", "12000"} {
		report, err := s.Render(t, photo, `{"renditions":[{"format":"jpeg","quality":95,"maxBytes":`+most+`,"operations":[{"op":"resize","width":300}]}]}`)
		require.NoError(t, err)
		require.LessOrEqual(t, report.Renditions[0].Bytes, map[string]int64{"6000": 6000, "12000": 12000}[most])
		require.Greater(t, report.Renditions[0].Bytes, map[string]int64{"6000": 4500, "12000": 10000}[most], "as good as fits")
		Open(t, report.Renditions[0])
	}
	_, err = s.Render(t, photo, `{"renditions":[{"format":"jpeg","maxBytes":1000}]}`)
	require.True(t, engine.Final(err), "%v", err)
	require.Contains(t, fault.As(err).Public, "maxBytes")
}

// palettes checks PNG of few colours.
func (s conformance) palettes(t *testing.T) {
	photo, err := os.ReadFile(Shared(t, "photos", "kodak-23.png"))
	require.NoError(t, err)
	report, err := s.Render(t, photo, `{"renditions":[
		{"name":"full","format":"png","operations":[{"op":"resize","width":300}]},
		{"name":"many","format":"png","colors":256,"operations":[{"op":"resize","width":300}]},
		{"name":"few","format":"png","colors":8,"operations":[{"op":"resize","width":300}]}]}`)
	require.NoError(t, err)
	full, many, few := Open(t, report.Renditions[0]), Open(t, report.Renditions[1]), Open(t, report.Renditions[2])
	require.LessOrEqual(t, different(many), 256)
	require.LessOrEqual(t, different(few), 8)
	require.Less(t, report.Renditions[1].Bytes, report.Renditions[0].Bytes)
	require.Less(t, report.Renditions[2].Bytes, report.Renditions[1].Bytes)
	near(t, mean(full), mean(many), 3)
	near(t, mean(full), mean(few), 12)
	require.Less(t, difference(full, many), 10.0)
	clear := Scene(120, 80)
	for i := 3; i < len(clear.Pix); i += 4 {
		if i/4%120 < 40 {
			clear.Pix[i] = 0
		}
	}
	for _, original := range [][]byte{photo, PNG(t, clear)} {
		for _, format := range []string{"png", "gif"} {
			for _, n := range []int{2, 3, 5, 8, 9, 16, 17, 100, 255, 256} {
				document := fmt.Sprintf(`{"renditions":[{"format":%q,"colors":%d,"operations":[{"op":"resize","width":120}]}]}`, format, n)
				got := different(s.Picture(t, original, document))
				require.LessOrEqual(t, got, n, document)
				require.Greater(t, got, n/3, "%s: what is allowed is used", document)
			}
		}
	}
	exact := s.Picture(t, PNG(t, Quadrants(48, 32)), `{"renditions":[{"format":"png","colors":4}]}`)
	for i, want := range [4]color.NRGBA{red, green, blue, yellow} {
		near(t, want, corners(exact)[i], 0, "four colours are exact")
	}
}

// different counts the colours of a picture.
func different(m image.Image) int {
	seen := map[color.NRGBA]bool{}
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			seen[at(m, x, y)] = true
		}
	}
	return len(seen)
}

// metadata looks for what the original carries, by what is asked for.
func (s conformance) metadata(t *testing.T) {
	if !s.can.Metadata {
		t.Skip("the engine keeps no metadata")
	}
	original, err := os.ReadFile(Shared(t, "photos", "gps", "DSCN0010.jpg"))
	require.NoError(t, err)
	// The camera's name is in the block; an author is put in its place.
	require.Contains(t, string(original), "NIKON")
	for keep, names := range map[string]bool{"": false, `,"metadata":"copyright"`: false, `,"metadata":"keep"`: true} {
		report, err := s.Render(t, original, `{"renditions":[{"format":"jpeg"`+keep+`,"operations":[{"op":"resize","width":100}]}]}`)
		require.NoError(t, err)
		Open(t, report.Renditions[0])
		out, err := os.ReadFile(report.Renditions[0].File)
		require.NoError(t, err)
		require.Equal(t, names, strings.Contains(string(out), "NIKON"), keep)
		require.NotContains(t, string(out[4:]), "\xff\xd8\xff\xe0", "a thumbnail")
	}
	authored := JPEG(t, Quadrants(48, 32), 6)
	report, err := s.Render(t, authored, `{"renditions":[{"metadata":"keep"}]}`)
	require.NoError(t, err)
	again, err := s.RenderFile(t, report.Renditions[0].File, "[]", engine.Limits{})
	require.NoError(t, err)
	require.Equal(t, 1, again.Original.Orientation, "what was applied is not said again")
	require.Equal(t, image.Pt(32, 48), image.Pt(again.Original.Width, again.Original.Height))
	out, err := os.ReadFile(report.Renditions[0].File)
	require.NoError(t, err)
	require.NotContains(t, string(out), "GPS-SECRET")
}

// cameraPictures looks at all outputs of real pictures with places in them for a
// place, a serial number, a maker's note and a thumbnail.
func (s conformance) cameraPictures(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(Shared(t, "photos", "gps"), "*.jpg"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	documents := []string{`{"renditions":[{"operations":[{"op":"resize","width":200}]},`, `{"renditions":[{"format":"png","operations":[{"op":"resize","width":200}]},`}
	for _, name := range files {
		for _, d := range documents {
			d = strings.Replace(d, `{"operations`, `{"name":"a","operations`, 1)
			d = strings.Replace(d, `{"format"`, `{"name":"a","format"`, 1) + `{"name":"b","operations":[{"op":"crop","width":64,"height":64}]}]}`
			report, err := s.RenderFile(t, name, d, engine.Limits{})
			require.NoError(t, err, name)
			for _, r := range report.Renditions {
				out, err := os.ReadFile(r.File)
				require.NoError(t, err)
				for _, mark := range []string{"Exif", "eXIf", "GPS", "WGS-84", "WGS 84", "NIKON", "http://ns.adobe.com", "Photoshop 3.0"} {
					require.NotContains(t, string(out), mark, "%s in %s", mark, r.File)
				}
				require.NotContains(t, string(out[4:]), "\xff\xd8\xff", "a thumbnail in %s", r.File)
			}
		}
	}
}

// places writes camera pictures in every format with all that may be kept: no
// result tells where it was taken or by which camera, shows the thumbnail, or is
// turned again by whoever shows it.
func (s conformance) places(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(Shared(t, "photos", "gps"), "*.jpg"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	turned := filepath.Join(t.TempDir(), "turned.jpg")
	require.NoError(t, os.WriteFile(turned, JPEG(t, Scene(360, 240), 6), 0o600))
	modes := []string{"", `"metadata":"copyright",`, `"metadata":"keep",`}
	if !s.can.Metadata {
		modes = modes[:1]
	}
	for _, file := range append(files, turned) {
		for _, f := range s.can.Out {
			for _, mode := range modes {
				// The first may take the fast path, the second may not.
				for _, op := range []string{`{"op":"resize","width":100}`, `{"op":"resize","width":100},{"op":"blur","sigma":0.5}`} {
					s.tellsNothing(t, file, `{"renditions":[{"format":"`+string(f)+`",`+mode+`"operations":[`+op+`]}]}`)
				}
			}
		}
	}
}

// tellsNothing renders a file and looks into the result.
func (s conformance) tellsNothing(t *testing.T, file, document string) {
	t.Helper()
	report, err := s.RenderFile(t, file, document, engine.Limits{})
	require.NoError(t, err, document)
	r := report.Renditions[0]
	body, err := os.ReadFile(r.File)
	require.NoError(t, err)
	for _, mark := range []string{"WGS-84", "WGS 84", "GPS-SECRET", "http://ns.adobe.com", "Photoshop 3.0"} {
		require.NotContains(t, string(body), mark, "%s: %s", filepath.Base(file), document)
	}
	require.NotContains(t, string(body[4:]), "\xff\xd8\xff", "a thumbnail: %s: %s", filepath.Base(file), document)
	if !s.can.Reads(string(r.Format)) {
		return
	}
	again, err := s.RenderFile(t, r.File, `{"describe":["exif"],"renditions":[{"format":"png"}]}`, engine.Limits{})
	require.NoError(t, err, document)
	require.Equal(t, 1, again.Original.Orientation, "what was applied is said again: %s", document)
	require.Equal(t, image.Pt(r.Width, r.Height), image.Pt(again.Original.Width, again.Original.Height), document)
	if again.Facts == nil {
		return
	}
	for name := range again.Facts.EXIF {
		require.False(t, strings.HasPrefix(name, "GPS"), "%s in %s", name, document)
		require.NotContains(t, []string{"BodySerialNumber", "LensSerialNumber", "CameraSerialNumber", "MakerNote", "ImageUniqueID"}, name, document)
	}
}

// animations keeps all frames, or takes one.
func (s conformance) animations(t *testing.T) {
	// Three frames on a screen of 40×20: red on the left stays, green in the
	// middle goes away again, blue on the right is laid over red only.
	frame := func(r image.Rectangle, c color.Color) *image.Paletted {
		return image.NewPaletted(r, color.Palette{c, color.Transparent})
	}
	g := gif.GIF{
		Image: []*image.Paletted{frame(image.Rect(0, 0, 10, 20), red), frame(image.Rect(10, 0, 30, 20), green), frame(image.Rect(30, 0, 40, 20), blue)},
		Delay: []int{10, 20, 30}, Disposal: []byte{gif.DisposalNone, gif.DisposalPrevious, gif.DisposalBackground},
		LoopCount: 3, Config: image.Config{Width: 40, Height: 20},
	}
	var original bytes.Buffer
	require.NoError(t, gif.EncodeAll(&original, &g))
	third := s.Picture(t, original.Bytes(), `{"renditions":[{"format":"png","frame":2}]}`)
	require.Equal(t, image.Pt(40, 20), third.Bounds().Size())
	near(t, red, at(third, 5, 5), 0)
	require.Zero(t, at(third, 20, 5).A, "the second frame is gone")
	near(t, blue, at(third, 35, 5), 0)
	_, err := s.Render(t, original.Bytes(), `{"renditions":[{"format":"png","frame":3}]}`)
	require.Equal(t, fault.Unprocessable, fault.KindOf(err), "%v", err)
	require.Equal(t, "renditions[0].frame", fault.As(err).Field)
	if !s.can.Animation {
		return
	}
	report, err := s.Render(t, original.Bytes(), `{"renditions":[{"format":"gif","animated":true,"operations":[{"op":"resize","percent":50},{"op":"flip","horizontal":true}]}]}`)
	require.NoError(t, err)
	require.Equal(t, 3, report.Original.Frames)
	b, err := os.ReadFile(report.Renditions[0].File)
	require.NoError(t, err)
	all, err := gif.DecodeAll(bytes.NewReader(b))
	require.NoError(t, err)
	require.Len(t, all.Image, 3)
	require.Equal(t, []int{10, 20, 30}, all.Delay)
	require.Equal(t, 3, all.LoopCount)
	require.Equal(t, image.Pt(20, 10), image.Pt(all.Config.Width, all.Config.Height))
	for n, want := range []map[int]color.NRGBA{{17: red, 10: {}, 2: {}}, {17: red, 10: green, 2: {}}, {17: red, 10: {}, 2: blue}} {
		m := s.Picture(t, b, `{"renditions":[{"format":"png","frame":`+string(rune('0'+n))+`}]}`)
		for x, c := range want {
			near(t, c, at(m, x, 5), 2, "frame", n, "at", x)
		}
	}
	moving := PNG(t, Quadrants(20, 20))
	const ihdrEnd = 8 + 25
	moving = bytes.Join([][]byte{moving[:ihdrEnd], chunk("acTL", []byte{0, 0, 0, 2, 0, 0, 0, 0}), moving[ihdrEnd:]}, nil)
	still := s.Picture(t, moving, `{"renditions":[{"format":"gif","animated":true,"operations":[{"op":"crop","width":16,"height":16,"gravity":"center"}]}]}`)
	require.Equal(t, image.Pt(16, 16), still.Bounds().Size(), "an animated PNG is its first picture")
	_, err = s.RenderFile(t, report.Renditions[0].File, `{"renditions":[{"format":"gif","animated":true}]}`, engine.Limits{InputPixels: 300})
	require.Equal(t, fault.TooLarge, fault.KindOf(err), "three frames of 200 pixels are too many: %v", err)
}

// refusals holds the engine to saying what it cannot do before it judges the
// original, which is no picture.
func (s conformance) refusals(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("Dear Sir or Madam"), 0o600))
	for _, f := range []pipeline.Format{pipeline.WebP, pipeline.AVIF, pipeline.TIFF, pipeline.JXL} {
		p := pipeline.Pipeline{Renditions: []pipeline.Rendition{{Name: "a", Format: f}}}
		_, err := s.Engine.Render(t.Context(), engine.Job{Source: text, Dir: t.TempDir(), Pipeline: p})
		require.Equal(t, fault.Unsupported, fault.KindOf(err), "%s: %v", f, err)
		if s.can.Has(f) {
			require.Empty(t, fault.As(err).Field, "%s can be had, but not of a text", f)
			continue
		}
		require.Equal(t, "renditions[0].format", fault.As(err).Field)
		require.Contains(t, fault.As(err).Public, "JPEG", "it says what can be had")
	}
}
