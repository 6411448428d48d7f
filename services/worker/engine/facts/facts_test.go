package facts

import (
	"image"
	"image/color"
	"math/bits"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/bbrks/go-blurhash"
	lib "github.com/disintegration/imaging"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/exif"
)

// flag is three quarters in one colour and a quarter in another.
func flag(w, h int) *image.NRGBA {
	m := lib.New(w, h, color.NRGBA{R: 0xcc, G: 0x11, B: 0x22, A: 255})
	return lib.Paste(m, lib.New(w, h/4, color.NRGBA{R: 0x10, G: 0x20, B: 0xdd, A: 255}), image.Point{})
}

func TestColours(t *testing.T) {
	require.Equal(t, []string{"#cc1122", "#1020dd"}, colors(flag(80, 80)))
	require.Equal(t, []string{"#cc1122", "#1020dd"}, Make([]pipeline.Facet{pipeline.Colors}, flag(1600, 1600), exif.Block{}).Colors)
	clear := flag(80, 80)
	for i := 3; i < len(clear.Pix)/4; i += 4 {
		clear.Pix[i] = 0
	}
	require.Equal(t, []string{"#cc1122"}, colors(clear), "what is transparent does not count")
	require.Empty(t, colors(image.NewNRGBA(image.Rect(0, 0, 8, 8))))
	shades := image.NewNRGBA(image.Rect(0, 0, 256, 1))
	for x := range 256 {
		shades.SetNRGBA(x, 0, color.NRGBA{R: uint8(x), G: uint8(x), B: uint8(x), A: 255})
	}
	require.LessOrEqual(t, len(colors(shades)), mostColors)
}

func TestNothingIsToldThatWasNotWanted(t *testing.T) {
	require.Nil(t, Make(nil, flag(8, 8), exif.Block{}))
	require.False(t, Needs([]pipeline.Facet{pipeline.EXIF}))
	block := exif.Block{Fields: map[string]string{"Make": "x"}}
	only := Make([]pipeline.Facet{pipeline.EXIF}, nil, block)
	require.Equal(t, block.Fields, only.EXIF)
	require.Empty(t, only.Colors)
	require.Empty(t, only.BlurHash+only.PHash)
	hash := Make([]pipeline.Facet{pipeline.PHash}, flag(8, 8), block)
	require.Nil(t, hash.EXIF)
	require.Len(t, hash.PHash, 16)
}

func TestBlurHashPaintsThePicture(t *testing.T) {
	for _, size := range [][2]int{{300, 200}, {200, 300}, {1, 1}, {1000, 1}} {
		hash := Make([]pipeline.Facet{pipeline.BlurHash}, flag(size[0], size[1]), exif.Block{}).BlurHash
		require.Len(t, hash, 28)
		painted, err := blurhash.Decode(hash, 16, 16, 1)
		require.NoError(t, err)
		if size[1] >= 200 {
			r, _, b, _ := painted.At(8, 14).RGBA()
			require.Greater(t, r, b, "the red part is below")
			r, _, b, _ = painted.At(8, 0).RGBA()
			require.Greater(t, b, r, "the blue part is above")
		}
	}
}

// apart is the number of bits in which two hashes differ.
func apart(t *testing.T, a, b string) int {
	t.Helper()
	x, err := strconv.ParseUint(a, 16, 64)
	require.NoError(t, err)
	y, err := strconv.ParseUint(b, 16, 64)
	require.NoError(t, err)
	return bits.OnesCount64(x ^ y)
}

func TestPicturesThatLookAlikeHaveHashesThatAreAlike(t *testing.T) {
	photos := enginetest.Shared(t, "photos")
	hash := func(m image.Image) string {
		return Make([]pipeline.Facet{pipeline.PHash}, m, exif.Block{}).PHash
	}
	var all []string
	for _, name := range []string{"kodak-3.png", "kodak-8.png", "kodak-23.png", "nuthatch-2mp.jpg", "dragonfly.jpg"} {
		m, err := lib.Open(filepath.Join(photos, name))
		require.NoError(t, err)
		h := hash(m)
		require.LessOrEqual(t, apart(t, h, hash(lib.Resize(m, 300, 0, lib.Lanczos))), 4, name)
		require.LessOrEqual(t, apart(t, h, hash(lib.AdjustBrightness(m, 10))), 6, name)
		require.LessOrEqual(t, apart(t, h, hash(lib.Blur(m, 2))), 4, name)
		for _, other := range all {
			require.GreaterOrEqual(t, apart(t, h, other), 16, name)
		}
		all = append(all, h)
	}
}
