package header

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"imagemill/internal/fault"
	"imagemill/services/worker/engine"
)

// avif is what stands before the pixels of an AVIF of 64×48 with transparency.
const avif = "AAAAHGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZgAAAc1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAAA5waXRtAA" +
	"AAAAABAAAARmlsb2MAAAAAREAAAwACAAAAAAHxAAEAAAAAAAAAGwABAAAAAAIMAAEAAAAAAAABuQADAAAAAAPFAAEAAAAAAAAAvgAAAE1paW5m" +
	"AAAAAAADAAAAFWluZmUCAAAAAAEAAGF2MDEAAAAAFWluZmUCAAAAAAIAAGF2MDEAAAAAFWluZmUCAAABAAMAAEV4aWYAAAAA12lwcnAAAACxaX" +
	"BjbwAAABNjb2xybmNseAACAAIABoAAAAAMYXYxQ4EAHAAAAAAUaXNwZQAAAAAAAABAAAAAMAAAAA5waXhpAAAAAAEIAAAAOGF1eEMAAAAAdXJu" +
	"Om1wZWc6bXBlZ0I6Y2ljcDpzeXN0ZW1zOmF1eGlsaWFyeTphbHBoYQAAAAAMYXYxQ4EADAAAAAAUaXNwZQAAAAAAAABAAAAAMAAAABBwaXhpAA" +
	"AAAAMICAgAAAAeaXBtYQAAAAAAAAACAAEEgYYHiAACBIIDhIUAAAAoaXJlZgAAAAAAAAAOYXV4bAACAAEAAQAAAA5jZHNjAAMAAQAB"

// encoded writes a picture by one of the standard encoders.
func encoded(t testing.TB, encode func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, encode(&b))
	return b.Bytes()
}

// samples are small files of all formats by name.
func samples(t testing.TB) map[string][]byte {
	t.Helper()
	box := image.Rect(0, 0, 64, 48)
	grey, rgba, deep := image.NewGray(box), image.NewNRGBA(box), image.NewRGBA64(box)
	flat := image.NewPaletted(box, palette.Plan9)
	see := image.NewPaletted(box, append(color.Palette{color.NRGBA{}}, palette.Plan9[1:]...))
	opaque := image.NewRGBA(box)
	for i := range opaque.Pix {
		opaque.Pix[i] = 255
	}
	still, err := base64.StdEncoding.DecodeString(avif)
	require.NoError(t, err)
	return map[string][]byte{
		"jpeg":  encoded(t, func(w io.Writer) error { return jpeg.Encode(w, rgba, nil) }),
		"grey":  encoded(t, func(w io.Writer) error { return jpeg.Encode(w, grey, nil) }),
		"png":   encoded(t, func(w io.Writer) error { return png.Encode(w, opaque) }),
		"alpha": encoded(t, func(w io.Writer) error { return png.Encode(w, rgba) }),
		"deep":  encoded(t, func(w io.Writer) error { return png.Encode(w, deep) }),
		"index": encoded(t, func(w io.Writer) error { return png.Encode(w, flat) }),
		"gif":   encoded(t, func(w io.Writer) error { return gif.Encode(w, flat, nil) }),
		"moving": encoded(t, func(w io.Writer) error {
			return gif.EncodeAll(w, &gif.GIF{Image: []*image.Paletted{see, see, see}, Delay: []int{1, 1, 1}})
		}),
		"bmp":   encoded(t, func(w io.Writer) error { return bmp.Encode(w, opaque) }),
		"tiff":  encoded(t, func(w io.Writer) error { return tiff.Encode(w, rgba, nil) }),
		"lossy": webp("VP8 ", []byte{0x30, 1, 0, 0x9d, 1, 0x2a, 64, 0, 48, 0, 0, 0}),
		"exact": webp("VP8L", []byte{0x2f, 63, 0xc0, 0x0b, 0x10, 0, 0, 0}),
		"large": webp("VP8X", []byte{0x12, 0, 0, 0, 63, 0, 0, 47, 0, 0}, "ANMF", make([]byte, 16), "ANMF", make([]byte, 16)),
		"avif":  still,
		"jxl":   jxl(64, 48, 1),
		"upset": jxl(48, 64, 6),
		"boxed": boxed("jxlc", jxl(64, 48, 1)),
		"parts": boxed("jxlp", append([]byte{0, 0, 0, 0}, jxl(48, 64, 8)...)),
		"svg":   []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 48"><g/></svg>`),
	}
}

// webp puts chunks together: names and bodies of even length.
func webp(chunks ...any) []byte {
	out := []byte("RIFF\x00\x00\x00\x00WEBP")
	for i := 0; i < len(chunks); i += 2 {
		name, _ := chunks[i].(string)
		body, _ := chunks[i+1].([]byte)
		out = append(out, name...)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(body)))
		out = append(out, body...)
	}
	return out
}

// jxl is the beginning of a JPEG XL as its pixels are stored: an animation in 16
// bits, with transparency and an odd channel.
func jxl(w, h, orientation int) []byte {
	b := []byte{0xff, 0x0a}
	at := 0
	add := func(v, n int) {
		for i := range n {
			if at%8 == 0 {
				b = append(b, 0)
			}
			b[len(b)-1] |= byte(v>>i&1) << (at % 8)
			at++
		}
	}
	add(0, 1)
	add(1, 2)
	add(h-1, 13)
	add(0, 3)
	add(0, 2)
	add(w-1, 9)
	add(0, 1) // not all by default
	add(1, 1)
	add(orientation-1, 3)
	add(1, 1) // a size to be shown in
	add(1, 1)
	add(3, 5)
	add(1, 3)
	add(1, 1) // a preview of 9×9
	add(0, 1)
	add(0, 2)
	add(8, 6)
	add(1, 3)
	add(1, 1) // an animation
	add(0, 2)
	add(0, 2)
	add(0, 2)
	add(0, 1)
	add(0, 1) // 16 bits
	add(3, 2)
	add(15, 6)
	add(0, 1)
	add(2, 2) // three channels
	add(1, 4)
	add(0, 1) // a spot colour with a name
	add(2, 2)
	add(0, 4)
	add(0, 1)
	add(0, 2)
	add(0, 2)
	add(1, 2)
	add(2, 4)
	add('a', 8)
	add('b', 8)
	add(0, 64)
	add(1, 1) // alpha
	add(0, 1) // a filter
	add(2, 2)
	add(3, 4)
	add(0, 1)
	add(0, 2)
	add(0, 2)
	add(0, 2)
	add(2, 2)
	add(0, 4)
	add(1, 1) // XYB
	add(1, 1) // sRGB
	add(0, 16)
	return b
}

// boxed puts a codestream into the boxes of a file, behind metadata.
func boxed(kind string, body []byte) []byte {
	b := []byte("\x00\x00\x00\x0cJXL \r\n\x87\n\x00\x00\x00\x14ftypjxl \x00\x00\x00\x00jxl ")
	for _, one := range []struct {
		kind string
		body []byte
	}{{"Exif", []byte("\x00\x00\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00")}, {kind, body}} {
		b = binary.BigEndian.AppendUint32(b, uint32(8+len(one.body)))
		b = append(append(b, one.kind...), one.body...)
	}
	return b
}

// read reads the header of bytes.
func read(b []byte) (Info, error) { return Read(bytes.NewReader(b), int64(len(b)), 256) }

func TestWhatHeadersSay(t *testing.T) {
	all := samples(t)
	for name, want := range map[string]engine.Picture{
		"jpeg":   {Format: "jpeg", Bands: 3, Chroma: engine.Chroma420},
		"grey":   {Format: "jpeg", Bands: 1, Chroma: engine.ChromaGray},
		"png":    {Format: "png", Bands: 3},
		"alpha":  {Format: "png", Bands: 4, Alpha: true},
		"deep":   {Format: "png", Bands: 4, Alpha: true, Depth: 16},
		"index":  {Format: "png", Bands: 3},
		"gif":    {Format: "gif", Bands: 3},
		"moving": {Format: "gif", Bands: 4, Alpha: true, Frames: 3},
		"bmp":    {Format: "bmp", Bands: 3},
		"tiff":   {Format: "tiff", Bands: 4, Alpha: true},
		"lossy":  {Format: "webp", Bands: 3},
		"exact":  {Format: "webp", Bands: 4, Alpha: true},
		"large":  {Format: "webp", Bands: 4, Alpha: true, Frames: 2},
		"avif":   {Format: "avif", Bands: 4, Alpha: true},
		"jxl":    {Format: "jxl", Bands: 4, Alpha: true, Depth: 16, Profile: engine.ProfileSRGB},
		"upset":  {Format: "jxl", Bands: 4, Alpha: true, Depth: 16, Profile: engine.ProfileSRGB},
		"boxed":  {Format: "jxl", Bands: 4, Alpha: true, Depth: 16, Profile: engine.ProfileSRGB},
		"parts":  {Format: "jxl", Bands: 4, Alpha: true, Depth: 16, Profile: engine.ProfileSRGB},
		"svg":    {Format: "svg", Bands: 4, Alpha: true},
	} {
		t.Run(name, func(t *testing.T) {
			want.Width, want.Height, want.Orientation = 64, 48, 1
			want.Frames, want.Depth = max(want.Frames, 1), max(want.Depth, 8)
			got, err := read(all[name])
			require.NoError(t, err)
			require.Equal(t, want, got.Picture)
		})
	}
}

func TestNoMoreFramesAreCountedThanWereAskedAfter(t *testing.T) {
	for name, n := range map[string]int{"moving": 3, "large": 2} {
		b := samples(t)[name]
		for most := range 4 {
			got, err := Read(bytes.NewReader(b), int64(len(b)), most)
			require.NoError(t, err)
			require.Equal(t, min(n, most+1), got.Frames)
		}
	}
}

func TestWhatIsNotInAPicture(t *testing.T) {
	got, err := read(samples(t)["boxed"])
	require.NoError(t, err)
	require.True(t, got.Moving)
	require.NotNil(t, got.EXIF.Fields)
	require.Equal(t, 1, got.Orientation, "decoders set a JPEG XL upright, by its codestream")
	got, err = read([]byte(`<svg width="10.5" height="1in"/>`))
	require.NoError(t, err)
	require.Equal(t, [2]float64{10.5, 96}, got.Drawn)
	require.Equal(t, [2]int{11, 96}, [2]int{got.Width, got.Height})
	for text, says := range map[string]string{
		`<svg/>`:        "it says no size",
		`<svg width="5`: "its beginning is damaged",
		`<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg width="1" height="1">&a;</svg>`: "it declares entities",
	} {
		_, err := read([]byte(text))
		require.ErrorContains(t, err, says)
		require.Equal(t, fault.Unprocessable, fault.KindOf(err))
	}
}

// insert puts bytes behind the first n of a file.
func insert(b []byte, n int, in []byte) []byte {
	return append(append(bytes.Clone(b[:n]), in...), b[n:]...)
}

// segment is a segment of a JPEG.
func segment(marker byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(body)+2)), body...)
}

func TestProfiles(t *testing.T) {
	s := samples(t)
	for name, c := range map[string]struct {
		profile []byte
		want    string
	}{
		"srgb":          {profile(0, curveOf(sRGB)), engine.ProfileSRGB},
		"p3":            {profile(1, curveOf(sRGB)), engine.ProfileP3},
		"adobe":         {profile(2, gammaOf(2.19921875)), engine.ProfileAdobeRGB},
		"bent":          {profile(0, gammaOf(1.8)), engine.ProfileOther},
		"not a profile": {[]byte("sRGB"), ""},
		"cut off":       {profile(0, curveOf(sRGB))[:200], engine.ProfileOther},
	} {
		t.Run(name, func(t *testing.T) {
			b := insert(s["jpeg"], 2, segment(0xe2, append([]byte("ICC_PROFILE\x00\x01\x01"), c.profile...)))
			got, err := read(b)
			require.NoError(t, err)
			require.Equal(t, c.want, got.Profile)
			got, err = read(webp("VP8X", []byte{0x20, 0, 0, 0, 63, 0, 0, 47, 0, 0}, "ICCP", c.profile))
			require.NoError(t, err)
			require.Equal(t, c.want, got.Profile)
		})
	}
}

func TestHowJPEGsKeepColours(t *testing.T) {
	b := samples(t)["jpeg"]
	at := bytes.Index(b, []byte{0xff, 0xc0})
	for name, c := range map[string]struct {
		change func(b []byte)
		want   string
	}{
		"422":        {func(b []byte) { b[at+11] = 0x21 }, engine.Chroma422},
		"444":        {func(b []byte) { b[at+11] = 0x11 }, engine.Chroma444},
		"440":        {func(b []byte) { b[at+11] = 0x12 }, ""},
		"odd colour": {func(b []byte) { b[at+14] = 0x21 }, ""},
		"RGB":        {func(b []byte) { b[at+10], b[at+13], b[at+16] = 'R', 'G', 'B' }, ""},
	} {
		changed := bytes.Clone(b)
		c.change(changed)
		got, err := read(changed)
		require.NoError(t, err)
		require.Equal(t, c.want, got.Chroma, name)
	}
	adobe := insert(b, 2, segment(0xee, []byte("Adobe\x00\x64\x00\x00\x00\x00\x00")))
	got, err := read(adobe)
	require.NoError(t, err)
	require.Empty(t, got.Chroma, "what Adobe calls transform 0 is RGB")
}

func TestHeadersThatEndEarlyAreRefusedAndNothingPanics(t *testing.T) {
	for name, b := range samples(t) {
		for n := range min(len(b), 2000) {
			if _, err := read(b[:n]); err != nil {
				k := fault.KindOf(err)
				require.Contains(t, []fault.Kind{fault.Unsupported, fault.Unprocessable}, k, "%s at %d: %v", name, n, err)
				require.NotEmpty(t, fault.As(err).Public)
			}
		}
		_, err := read(b[:12])
		require.Error(t, err, name)
	}
	_, err := read(nil)
	require.ErrorContains(t, err, "the file is empty")
	_, err = read([]byte("%PDF-1.7 and more"))
	require.ErrorContains(t, err, "the header of PDF cannot be read here")
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errors.New("the disk is gone") }

func TestAReadThatFailsIsNotThePicturesFault(t *testing.T) {
	_, err := Read(broken{}, 1000, 1)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	_, err = Open(filepath.Join(t.TempDir(), "missing"), 1)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
}

// Files that claim as much as they can are read in little time: one that is all
// tiny blocks, one of giant sizes, and one whose segments never end.
func TestBombsAreReadInLittleTime(t *testing.T) {
	huge := insert(samples(t)["png"], 33, nil)
	binary.BigEndian.PutUint32(huge[16:], 1<<31-1)
	binary.BigEndian.PutUint32(huge[20:], 1<<31-1)
	for name, b := range map[string][]byte{
		"blocks":   append([]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x08"), bytes.Repeat([]byte{1, 0xff}, 8<<20)...),
		"rubbish":  append([]byte{0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0}, bytes.Repeat([]byte{0x55}, 16<<20)...),
		"segments": append([]byte{0xff, 0xd8}, bytes.Repeat(segment(0xe1, []byte("Exif\x00\x00II*\x00\x08\x00\x00\x00")), 1<<20)...),
		"huge":     huge,
		"chunks":   append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x00\x00\x00\x00"), bytes.Repeat([]byte("\x00\x00\x00\x00eXIf\x00\x00\x00\x00"), 1<<20)...),
	} {
		start := time.Now()
		info, err := read(b)
		if err == nil {
			err = engine.Limits{}.CheckInput("picture", info.Picture)
		}
		t.Logf("%s: %s (%v)", name, time.Since(start), err)
		require.Less(t, time.Since(start), 30*time.Second, "%s takes for ever", name)
	}
	info, err := read(huge)
	require.NoError(t, err)
	require.ErrorContains(t, engine.Limits{}.CheckInput("PNG", info.Picture), "a side may have at most")
}

func FuzzRead(f *testing.F) {
	for _, b := range samples(f) {
		f.Add(b)
	}
	f.Add(insert(samples(f)["jpeg"], 2, segment(0xe2, append([]byte("ICC_PROFILE\x00\x01\x01"), profile(1, curveOf(sRGB))...))))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := read(b)
		if err != nil {
			require.NotEqual(t, fault.Internal, fault.KindOf(err))
			return
		}
		require.Positive(t, info.Width)
		require.Positive(t, info.Height)
		require.True(t, info.Orientation >= 1 && info.Orientation <= 8 && info.Frames >= 1 && info.Frames <= 257)
		require.True(t, info.Bands >= 0 && info.Bands <= 255 && info.Depth >= 0 && info.Depth <= 255)
		require.LessOrEqual(t, len(strings.Join([]string{info.Chroma, info.Profile}, "")), 20)
	})
}
