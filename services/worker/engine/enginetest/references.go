package enginetest

import (
	"encoding/binary"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/image/draw"

	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/ssim"
)

// reference is an operation, and the commands of vips that do the same: each
// line is one, with IN and OUT for its first and last file, and A, B, C for those
// between.
type reference struct{ op, commands string }

// references are all operations for which vips has commands. It has none for hue
// and saturation in HSL, for rounded corners and for the letters of our font;
// grey is ours by the weights of video, which recomb takes.
func references() []reference {
	const grey = "0.299 0.587 0.114"
	return []reference{
		{`{"op":"resize","width":100}`, "resize IN OUT 0.41666667 --vscale 0.41875"},
		{`{"op":"resize","percent":25}`, "resize IN OUT 0.25"},
		{`{"op":"resize","width":200,"height":60,"fit":"stretch"}`, "resize IN OUT 0.83333333 --vscale 0.375"},
		{`{"op":"resize","width":100,"height":100,"fit":"cover"}`, "crop IN A 40 0 160 160\nresize A OUT 0.625"},
		{`{"op":"resize","width":120,"height":120,"fit":"pad","background":"#203040"}`, "resize IN A 0.5\ngravity A OUT centre 120 120 --extend background --background '32 48 64'"},
		{`{"op":"crop","width":50,"height":40,"x":30,"y":20}`, "crop IN OUT 30 20 50 40"},
		{`{"op":"crop","width":50,"height":40,"gravity":"east"}`, "crop IN OUT 190 60 50 40"},
		{`{"op":"rotate","angle":90}`, "rot IN OUT d90"},
		{`{"op":"rotate","angle":20,"background":"#ffffff"}`, turned(20) + " --background '255 255 255'"},
		{`{"op":"rotate","angle":-35,"background":"#102030"}`, turned(-35) + " --background '16 32 48'"},
		{`{"op":"flip","horizontal":true}`, "flip IN OUT horizontal"},
		{`{"op":"flip","vertical":true}`, "flip IN OUT vertical"},
		{`{"op":"blur","sigma":2}`, "gaussblur IN OUT 2 --precision float"},
		{`{"op":"blur","sigma":7.5}`, "gaussblur IN OUT 7.5 --precision float"},
		{`{"op":"sharpen","sigma":1}`, "gaussblur IN A 1 --precision float\nlinear IN B 2 0\nsubtract B A OUT"},
		{`{"op":"extend","left":9,"bottom":5,"background":"#ff0000"}`, "embed IN OUT 9 0 249 165 --extend background --background '255 0 0'"},
		{`{"op":"gamma","value":1.5}`, "gamma IN OUT --exponent 1.5"},
		{`{"op":"gamma","value":0.6}`, "gamma IN OUT --exponent 0.6"},
		{`{"op":"invert"}`, "invert IN OUT"},
		{`{"op":"brightness","percent":20}`, "linear IN OUT 1 51"},
		{`{"op":"contrast","percent":20}`, "linear IN OUT 1.25 ' -31.875'"},
		{`{"op":"contrast","percent":-40}`, "linear IN OUT 0.6 51"},
		{`{"op":"grayscale"}`, "recomb IN OUT '[" + grey + "," + grey + "," + grey + "'"},
		{`{"op":"sepia"}`, "recomb IN OUT '[0.393 0.769 0.189,0.349 0.686 0.168,0.272 0.534 0.131'"},
		{`{"op":"tint","color":"#ff8000"}`, "recomb IN OUT '[" + grey + ",0.15008 0.29465 0.05722,0 0 0'"},
		{`{"op":"swapRedBlue"}`, "extract_band IN A 2\nextract_band IN B 1\nextract_band IN C 0\nbandjoin 'A B C' OUT"},
		{`{"op":"extractChannel","channel":"green"}`, "extract_band IN OUT 1"},
		{`{"op":"pixelate","size":8}`, "shrink IN A 8 8\nzoom A OUT 8 8"},
		{`{"op":"flatten","background":"#123456"}`, "flatten IN OUT --background '18 52 86'"},
		{`{"op":"watermark","image":"logo","gravity":"northwest","x":20,"y":30}`, "composite2 IN MARK OUT over --x 20 --y 30"},
	}
}

// turned is the command that turns the picture about its middle, clockwise, onto
// WIDE×HIGH pixels.
func turned(degrees float64) string {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	return fmt.Sprintf("affine IN OUT '%g %g %g %g' --oarea '0 0 WIDE HIGH' --idx=-119.5 --idy=-79.5 --odx=MIDX --ody=MIDY", cos, -sin, sin, cos)
}

// References holds the engine to what commands of vips make of a photograph, one
// with transparent parts where the operation is about these.
func References(t *testing.T, e engine.Engine) {
	s := conformance{Suite: Suite{e}}
	m := openPNG(t, Shared(t, "photos", "kodak-23.png"))
	photo := image.NewNRGBA(image.Rect(0, 0, 240, 160))
	draw.CatmullRom.Scale(photo, photo.Rect, m, m.Bounds(), draw.Src, nil)
	clear, mark := Scene(240, 160), Scene(40, 30)
	for _, n := range []*image.NRGBA{clear, mark} {
		for i := 3; i < len(n.Pix); i += 4 {
			n.Pix[i] = uint8(i / 4 % n.Rect.Dx() * 255 / n.Rect.Dx())
		}
	}
	for _, r := range references() {
		original := PNG(t, photo)
		if strings.Contains(r.op, "flatten") {
			original = PNG(t, clear)
		}
		report, err := s.marked(t, original, PNG(t, mark), r.op)
		require.NoError(t, err, r.op)
		made := report.Renditions[0]
		r.commands = strings.NewReplacer("WIDE", strconv.Itoa(made.Width), "HIGH", strconv.Itoa(made.Height),
			"MIDX", fmt.Sprint(float64(made.Width-1)/2), "MIDY", fmt.Sprint(float64(made.Height-1)/2)).Replace(r.commands)
		got, want := onGrey(Open(t, made)), onGrey(r.picture(t, original, PNG(t, mark)))
		require.Equal(t, want.Rect.Size(), got.Rect.Size(), r.op)
		alike, err := ssim.Images(want, got)
		require.NoError(t, err)
		colours, _, err := deltas(want, got)
		require.NoError(t, err)
		t.Logf("%-70s SSIM %.4f, colours %.2f", r.op, alike, colours)
		assert.GreaterOrEqual(t, alike, 0.98, r.op)
		assert.LessOrEqual(t, colours, float64(mostDelta), r.op)
		near(t, mean(want), mean(got), 2, r.op)
	}
}

// picture runs the commands.
func (r reference) picture(t *testing.T, original, mark []byte) image.Image {
	t.Helper()
	dir := t.TempDir()
	names := map[string]string{"IN": "in.png", "MARK": "mark.png", "A": "a.v", "B": "b.v", "C": "c.v", "OUT": "out.v"}
	for word, name := range names {
		names[word] = filepath.Join(dir, name)
	}
	require.NoError(t, os.WriteFile(names["IN"], original, 0o600))
	require.NoError(t, os.WriteFile(names["MARK"], mark, 0o600))
	for i, line := range strings.Split(r.commands, "\n") {
		var args []string
		for n, part := range strings.Split(line, "'") {
			matrix, ok := strings.CutPrefix(part, "[")
			switch {
			case n%2 == 0:
				args = append(args, strings.Fields(part)...)
			case !ok:
				args = append(args, part)
			default:
				file := filepath.Join(dir, fmt.Sprintf("%d.mat", i))
				text := "3 3\n" + strings.ReplaceAll(matrix, ",", "\n") + "\n"
				require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
				args = append(args, file)
			}
		}
		for i, a := range args {
			words := strings.Split(a, " ")
			for j, w := range words {
				if name, ok := names[w]; ok {
					words[j] = name
				}
			}
			args[i] = strings.Join(words, " ")
		}
		Command(t, "vips", args...)
	}
	return openV(t, names["OUT"])
}

// openV reads a picture in libvips' own format, after a header of 64 bytes: bands of
// bytes or of floating point, which are rounded.
func openV(t testing.TB, name string) image.Image {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	word := func(at int) int { return int(binary.LittleEndian.Uint32(b[at:])) }
	w, h, bands, format, pixels := word(4), word(8), word(12), word(20), b[64:]
	size := map[int]int{0: 1, 6: 4, 8: 8}[format] // uchar, float, double
	require.True(t, word(0) == 0x08f2a6b6 && size > 0 && (bands == 1 || bands == 3 || bands == 4), "a picture of %d bands of kind %d", bands, format)
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h * bands {
		v := pixels[i*size:]
		value := v[0]
		switch size {
		case 4:
			value = rounded(float64(math.Float32frombits(binary.LittleEndian.Uint32(v))))
		case 8:
			value = rounded(math.Float64frombits(binary.LittleEndian.Uint64(v)))
		}
		p := out.Pix[i/bands*4:]
		if band := i % bands; bands > 1 {
			p[band] = value
		} else {
			p[0], p[1], p[2] = value, value, value
		}
		if bands < 4 {
			p[3] = 255
		}
	}
	return out
}

func rounded(v float64) uint8 { return uint8(min(max(math.RoundToEven(v), 0), 255)) }
