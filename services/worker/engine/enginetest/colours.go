package enginetest

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/image/draw"

	"imagemill/services/worker/engine"
)

// mostDelta is how far the colours of a result may be from those that
// vipsthumbnail gives the same original, in CIEDE2000: in the mean of all pixels,
// and at the worst one of a hundred.
const mostDelta = 2

// Colours holds the engine to the colours that libvips' own programs make of originals
// in every colour space, depth and form of storage that cameras and programs
// write, in full size and made smaller by so little that no decoder makes it
// smaller already: what that does to edges is another matter.
func Colours(t *testing.T, e engine.Engine) {
	s := Suite{e}
	all := colourful(t)
	right(t, all)
	for _, o := range all {
		for width, file := range map[int]string{240: o.beside("right"), 210: o.beside("small-right")} {
			want := openPNG(t, file)
			got := s.pictureOf(t, o.file, fmt.Sprintf(`[{"op":"resize","width":%d,"height":%d,"fit":"stretch"}]`, width, want.Bounds().Dy()))
			mean, most, err := deltas(want, got)
			require.NoError(t, err, o.name)
			t.Logf("%-28s to %d: mean %.2f, 99 of 100 below %.2f", o.name, width, mean, most)
			assert.LessOrEqual(t, mean, float64(mostDelta), "%s to %d", o.name, width)
			assert.LessOrEqual(t, most, float64(mostDelta), "%s to %d", o.name, width)
		}
	}
}

// coloured is an original of 240×160 pixels.
type coloured struct {
	name, file string
	managed    bool // its colours are not those of sRGB, or say what they are
}

// pictureOf is Picture for a file.
func (s Suite) pictureOf(t testing.TB, file, document string) image.Image {
	t.Helper()
	report, err := s.RenderFile(t, file, document, engine.Limits{})
	require.NoError(t, err, "%s %s", filepath.Base(file), document)
	return Open(t, report.Renditions[0])
}

// beside is the name of a PNG that is made of the original.
func (o coloured) beside(what string) string {
	dir, name := filepath.Split(o.file)
	return filepath.Join(dir, what+"-"+strings.TrimSuffix(name, filepath.Ext(name))+".png")
}

// right makes, beside each original, a PNG of what it shows, in sRGB, and a smaller
// one of that. Of inks vipsthumbnail does not read the profile that they come with,
// and of a profile of tables it takes another way to white and black than both
// engines; icc_transform does neither. Each program is started once for as many as it takes.
func right(t *testing.T, all []coloured) {
	t.Helper()
	var plain, managed, rights []string
	for _, o := range all {
		rights = append(rights, o.beside("right"))
		missing := "cmyk"
		if strings.HasPrefix(o.name, "RGB") {
			missing = "srgb"
		}
		switch {
		case strings.HasPrefix(o.name, "CMYK"), strings.Contains(o.name, "by a lut"):
			Command(t, "vips", "icc_transform", o.file, o.beside("right")+"[strip]", "srgb",
				"--embedded", "--input-profile", missing, "--intent", "perceptual")
		case o.managed:
			managed = append(managed, o.file)
		default:
			plain = append(plain, o.file)
		}
	}
	dir := filepath.Dir(rights[0])
	to := []string{"-s", "240x160!", "--no-rotate", "-o", filepath.Join(dir, "right-%s.png[strip]")}
	Command(t, "vipsthumbnail", append(plain, to...)...)
	Command(t, "vipsthumbnail", append(append(managed, to...), "--export-profile", "srgb")...)
	Command(t, "vipsthumbnail", append(rights, "-s", "210x140!", "-o", filepath.Join(dir, "small-%s.png"))...)
}

// colourful makes originals of all kinds of colours out of a photograph.
func colourful(t *testing.T) []coloured {
	c := colouring{t: t, dir: t.TempDir()}
	m := openPNG(t, Shared(t, "photos", "kodak-23.png"))
	rgb := image.NewNRGBA(image.Rect(0, 0, 240, 160))
	draw.CatmullRom.Scale(rgb, rgb.Rect, m, m.Bounds(), draw.Src, nil)
	for _, space := range spaces()[:2] { // the last one is sRGB
		c.space(rgb, space)
	}
	for _, kind := range InkProfiles() {
		file := c.write(withProfile(t, PNG(t, rgb), TableProfile(kind, "RGB ", 17, filters)))
		c.manage("RGB by a "+kind, file)
		c.manage("RGB by a "+kind+" as JPEG", c.by(".jpg", "jpegsave", file, "TO", "--Q", "97"))
	}
	c.depths(rgb)

	c.put("palette", c.by(".png", "pngsave", c.plain(rgb), "TO", "--palette"))
	c.put("palette interlaced", c.by(".png", "pngsave", c.plain(rgb), "TO", "--palette", "--interlace"))
	c.put("GIF", c.by(".gif", "gifsave", c.plain(rgb), "TO"))

	clear := image.NewNRGBA(rgb.Rect)
	copy(clear.Pix, rgb.Pix)
	for i := 3; i < len(clear.Pix); i += 4 {
		clear.Pix[i] = uint8(15 + i/4%rgb.Rect.Dx())
	}
	alpha := c.plain(clear)
	c.put("alpha", alpha)
	c.put("alpha interlaced", c.by(".png", "pngsave", alpha, "TO", "--interlace"))
	c.put("alpha as WebP", c.by(".webp", "webpsave", alpha, "TO", "--lossless"))
	c.put("alpha as TIFF", c.by(".tif", "tiffsave", alpha, "TO"))
	c.manage("alpha in Display P3", c.write(withProfile(t, PNG(t, clear), spaces()[0].profile())))

	inks := c.by(".jpg", "icc_transform", c.plain(rgb), "TO[Q=97]", "cmyk", "--input-profile", "srgb")
	c.manage("CMYK", inks)
	c.manage("CMYK progressive", c.by(".jpg", "jpegsave", inks, "TO", "--Q", "97", "--interlace"))
	c.inks(inks)
	return c.all
}

// filters is a space of colours for a profile: three filters let red, green and
// blue light through, not quite apart.
func filters(v []float64) [3]float64 {
	r, g, b := math.Pow(v[0], 1.8), v[1]*v[1], math.Pow(v[2], 2.2)
	return [3]float64{0.4*r + 0.4*g + 0.2*b, 0.25*r + 0.65*g + 0.1*b, 0.05*r + 0.15*g + 0.8*b}
}

// inks stores a JPEG in four inks in other ways, and lets other profiles say how
// they look.
func (c *colouring) inks(inks string) {
	bare := c.by(".jpg", "jpegsave", inks, "TO", "--Q", "97", "--strip")
	c.manage("CMYK without a profile", bare)
	for _, kind := range InkProfiles() {
		profile := c.path(".icc")
		require.NoError(c.t, os.WriteFile(profile, InkProfile(kind), 0o600))
		c.manage("CMYK by a "+kind, c.by(".jpg", "jpegsave", inks, "TO", "--Q", "97", "--profile", profile))
	}
	b, err := os.ReadFile(inks)
	require.NoError(c.t, err)
	adobe := bytes.Index(b, []byte("\xff\xee\x00\x0eAdobe"))
	require.Positive(c.t, adobe, "vips writes an Adobe segment")
	ycck := bytes.Clone(b)
	ycck[adobe+15] = 2
	for name, b := range map[string][]byte{"CMYK as YCCK": ycck, "CMYK without an Adobe segment": slices.Delete(bytes.Clone(b), adobe, adobe+16)} {
		file := c.path(".jpg")
		require.NoError(c.t, os.WriteFile(file, b, 0o600))
		c.manage(name, file) // in other colours, but in the same ones everywhere
	}
}

// colouring writes originals into a folder.
type colouring struct {
	t   *testing.T
	dir string
	n   int
	all []coloured
}

// space writes the picture in all the forms that carry a profile.
func (c *colouring) space(rgb *image.NRGBA, space space) {
	stored, deep := image.NewNRGBA(rgb.Rect), image.NewNRGBA64(rgb.Rect)
	for i := 0; i < len(rgb.Pix); i += 4 {
		v := space.of(color.NRGBA{R: rgb.Pix[i], G: rgb.Pix[i+1], B: rgb.Pix[i+2], A: 255})
		stored.Pix[i], stored.Pix[i+1], stored.Pix[i+2], stored.Pix[i+3] = v.R, v.G, v.B, 255
	}
	draw.Draw(deep, rgb.Rect, stored, image.Point{}, draw.Src)
	file := c.write(withProfile(c.t, PNG(c.t, stored), space.profile()))
	c.manage(space.name, file)
	c.manage(space.name+" of 16 bits", c.write(withProfile(c.t, PNG(c.t, deep), space.profile())))
	c.manage(space.name+" interlaced", c.by(".png", "pngsave", file, "TO", "--interlace"))
	c.manage(space.name+" as JPEG", c.by(".jpg", "jpegsave", file, "TO", "--Q", "97"))
	c.manage(space.name+" as progressive JPEG", c.by(".jpg", "jpegsave", file, "TO", "--Q", "97", "--interlace"))
	c.manage(space.name+" as TIFF", c.by(".tif", "tiffsave", file, "TO", "--compression", "deflate"))
	c.manage(space.name+" as WebP", c.by(".webp", "webpsave", file, "TO", "--lossless"))
}

// depths writes the picture in 16 bits and in grey.
func (c *colouring) depths(rgb *image.NRGBA) {
	deep, gray, gray16 := image.NewNRGBA64(rgb.Rect), image.NewGray(rgb.Rect), image.NewGray16(rgb.Rect)
	for _, to := range []draw.Image{deep, gray, gray16} {
		draw.Draw(to, rgb.Rect, rgb, image.Point{}, draw.Src)
	}
	for i := 0; i < len(deep.Pix); i += 8 { // lower bytes that are not the upper ones again
		deep.Pix[i+1], deep.Pix[i+3], deep.Pix[i+5] = byte(i), byte(i/3), byte(i/7)
	}
	deeper, plain, grey16 := c.plain(deep), c.plain(gray), c.plain(gray16)
	c.put("16 bits", deeper)
	c.put("16 bits interlaced", c.by(".png", "pngsave", deeper, "TO", "--interlace"))
	c.put("16 bits as TIFF", c.by(".tif", "tiffsave", deeper, "TO"))
	c.put("grey", plain)
	c.put("grey interlaced", c.by(".png", "pngsave", plain, "TO", "--interlace"))
	c.put("grey as JPEG", c.by(".jpg", "jpegsave", plain, "TO", "--Q", "97"))
	c.put("grey as TIFF", c.by(".tif", "tiffsave", plain, "TO"))
	c.put("grey of 16 bits", grey16)
	c.put("grey of 16 bits as TIFF", c.by(".tif", "tiffsave", grey16, "TO"))
	curved := c.write(withProfile(c.t, PNG(c.t, gray), grayProfile(1.8)))
	c.manage("grey with a curve", curved)
	c.manage("grey with a curve as JPEG", c.by(".jpg", "jpegsave", curved, "TO", "--Q", "97"))
}

func (c *colouring) put(name, file string)    { c.all = append(c.all, coloured{name, file, false}) }
func (c *colouring) manage(name, file string) { c.all = append(c.all, coloured{name, file, true}) }

func (c *colouring) path(extension string) string {
	c.n++
	return filepath.Join(c.dir, fmt.Sprintf("%d%s", c.n, extension))
}

// write puts bytes into a file.
func (c *colouring) write(b []byte) string {
	file := c.path(".png")
	require.NoError(c.t, os.WriteFile(file, b, 0o600))
	return file
}

// plain is write for a picture.
func (c *colouring) plain(m image.Image) string { return c.write(PNG(c.t, m)) }

// by lets vips write a file, whose name takes the place of TO.
func (c *colouring) by(extension string, args ...string) string {
	file := c.path(extension)
	for i, a := range args {
		args[i] = strings.Replace(a, "TO", file, 1)
	}
	Command(c.t, "vips", args...)
	return file
}

// withProfile puts an ICC profile into a PNG.
func withProfile(t testing.TB, b, profile []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	_, err := w.Write(profile)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	const ihdrEnd = 8 + 25
	return bytes.Join([][]byte{b[:ihdrEnd], chunk("iCCP", append([]byte("x\x00\x00"), packed.Bytes()...)), b[ihdrEnd:]}, nil)
}

// grayProfile is an ICC profile of greys with an exponent for a curve.
func grayProfile(gamma float64) []byte {
	fixed := func(v float64) []byte { return binary.BigEndian.AppendUint32(nil, uint32(int32(v*65536+0.5))) }
	white := bytes.Join([][]byte{fixed(0.9642), fixed(1), fixed(0.8249)}, nil)
	head := make([]byte, 128)
	copy(head[8:], "\x02\x40\x00\x00mntrGRAYXYZ ")
	copy(head[36:], "acsp")
	copy(head[68:], white)
	curve := binary.BigEndian.AppendUint16([]byte("curv\x00\x00\x00\x00\x00\x00\x00\x01"), uint16(gamma*256+0.5))
	table := []byte("\x00\x00\x00\x02")
	table = append(table, "wtpt\x00\x00\x00\x9c\x00\x00\x00\x14kTRC\x00\x00\x00\xb0\x00\x00\x00\x0e"...)
	out := bytes.Join([][]byte{head, table, []byte("XYZ \x00\x00\x00\x00"), white, curve, {0, 0}}, nil)
	binary.BigEndian.PutUint32(out, uint32(len(out)))
	return out
}
