// Package facts tells what can be said of a picture beside its renditions: its
// most common colours, a hash that paints a blurred preview, a hash that is
// alike for pictures that look alike, and its EXIF metadata as data.
//
// All but EXIF is worked out of a small upright copy of the picture, no larger
// than Side in each direction, so that it costs a millisecond or two whatever
// the original was. Any engine can make that copy; a larger picture is made
// smaller here. The results of two engines agree as far as their copies do.
package facts

import (
	"image"
	"image/color"
	"slices"

	"github.com/bbrks/go-blurhash"
	lib "github.com/disintegration/imaging"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/exif"
)

// Side is the longest side of the copy that facts are worked out of, in pixels.
const Side = 128

// Needs reports whether any of the facets is worked out of pixels.
func Needs(want []pipeline.Facet) bool {
	return slices.ContainsFunc(want, func(f pipeline.Facet) bool { return f != pipeline.EXIF })
}

// Make tells what is wanted; nil when nothing is. upright is the whole picture,
// set upright and in sRGB; it may be nil when Needs is false. block is what the
// header holds.
func Make(want []pipeline.Facet, upright image.Image, block exif.Block) *engine.Facts {
	if len(want) == 0 {
		return nil
	}
	out := &engine.Facts{}
	var small *image.NRGBA
	if Needs(want) && upright != nil && !upright.Bounds().Empty() {
		small = reduced(upright)
	}
	for _, f := range want {
		switch {
		case f == pipeline.EXIF:
			out.EXIF = block.Fields
		case small == nil:
		case f == pipeline.Colors:
			out.Colors = colors(small)
		case f == pipeline.BlurHash:
			out.BlurHash = blurHash(small)
		case f == pipeline.PHash:
			out.PHash = pHash(small)
		}
	}
	return out
}

// reduced is a picture of at most Side×Side that begins at (0,0).
func reduced(m image.Image) *image.NRGBA { return lib.Fit(m, Side, Side, lib.Box) }

// onWhite shows what is transparent as white, as most places would.
func onWhite(m *image.NRGBA) *image.NRGBA {
	return lib.Overlay(lib.New(m.Rect.Dx(), m.Rect.Dy(), color.White), m, image.Point{}, 1)
}

// blurSide is the side to which a picture is brought for its BlurHash: what it
// keeps are four waves across.
const blurSide = 32

// blurHash gives four waves along the longer side and three along the other, in
// 28 characters.
func blurHash(m *image.NRGBA) string {
	x, y := 4, 3
	if m.Rect.Dy() > m.Rect.Dx() {
		x, y = 3, 4
	}
	hash, err := blurhash.Encode(x, y, onWhite(lib.Fit(m, blurSide, blurSide, lib.Box)))
	if err != nil {
		return "" // only for numbers of waves that are not allowed
	}
	return hash
}
