//go:build vips

package vips

import (
	"fmt"
	"image"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/facts"
)

// Facts tells what is wanted of the original beside its renditions; nil when
// nothing is. It is best called after Render, whose decoded picture it uses.
func (o *Original) Facts(want []pipeline.Facet) (*engine.Facts, error) {
	if !facts.Needs(want) {
		return facts.Make(want, nil, o.src.EXIF), nil
	}
	m, err := o.small()
	if err != nil {
		return nil, damaged(o.src.format, err)
	}
	return facts.Make(want, m, o.src.EXIF), nil
}

// small is the whole upright picture, no larger than facts need it.
func (o *Original) small() (image.Image, error) {
	r := pipeline.Rendition{}
	from := o.decodingOf(r, o.leastShrink())
	if draws(o.src.format) {
		from.scale = min(1, float64(facts.Side)/float64(max(o.src.Width, o.src.Height)))
	}
	for d := range o.decoded {
		if like := o.decodingOf(r, d.shrink).drawn(d.scale); d == like {
			from = d
		}
	}
	m, err := o.base(from)
	if err != nil {
		return nil, err
	}
	var s scope
	defer s.close()
	w, h := pipeline.Resize{Width: facts.Side, Height: facts.Side, NoEnlarge: true}.Within(width(m), height(m))
	if m, err = s.scale(m, w, h); err != nil {
		return nil, err
	}
	if m, err = s.addAlpha(m); err != nil {
		return nil, err
	}
	if m, err = s.memory(m); err != nil {
		return nil, fmt.Errorf("make small picture: %w", err)
	}
	return &image.NRGBA{Pix: append([]byte(nil), view(m)...), Stride: 4 * w, Rect: image.Rect(0, 0, w, h)}, nil
}

// leastShrink is how small the original may be decoded for facts.
func (o *Original) leastShrink() int {
	if o.src.format != "jpeg" && o.src.format != "webp" {
		return 1
	}
	by := 8
	for by > 1 && min(o.src.Width, o.src.Height)/by < facts.Side {
		by /= 2
	}
	return by
}
