package plan

import (
	"cmp"
	"slices"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// The estimate of memory is, in bytes:
//
//	base + passes + decoded + upright + max over the steps of (kept + work + beside)
//
//	decoded = Width × Height × bytes of a pixel × frames. A pixel has as many bytes
//	          as decoders give it: those of its planes for a JPEG that stays in
//	          planes, else of its bands, three of which take the place of four
//	          outside of JPEG. All frames count only where an animation is kept
//	          A drawing has 4 bytes a pixel, in all sizes in which it is rendered
//	passes  = what a decoder holds beside that of a picture stored in several
//	          passes: 4 bytes for each coefficient of a progressive JPEG, at full
//	          size, and half of decoded for others
//	upright = decoded again, when the picture has to be turned
//	kept    = the pictures of earlier renditions that later ones continue from
//	work    = the most that one rendition holds at a time: what goes into an
//	          operation, what is between, and what comes out; or the result and
//	          what its encoder needs for each of its pixels
//
//	beside  = where encoders work side by side: what those hold that may still be
//	          writing larger results, and one picture that waits for its turn
//
// Results that are made of planes while these are decoded take the place of the
// decoded picture where they are more. Pictures between operations count 4 bytes a pixel and frame. What was decoded
// of other formats than JPEG, whose pixels are laid out anew, counts twice. An
// engine whose memory is collected holds besides what it no longer uses: of all but
// that, base and passes, a half more. TestEstimateAgainstMeasured compares with real
// processes.
const (
	base          = 48 << 20 // an engine in C with its libraries
	baseCollected = 24 << 20
	pixel         = 4        // bytes of a pixel between operations
	coefficient   = 4        // bytes of a coefficient of a progressive JPEG
	lingering     = 16 << 20 // what encoders of AVIF and JPEG XL leave in pieces for the next one
)

// memory estimates the most memory that a plan needs at a time.
func memory(p Plan, shapes []shape, original engine.Picture, can engine.Abilities) int64 {
	frames := int64(1)
	for _, s := range shapes {
		if s.r.Animated && can.Animation {
			frames = int64(max(original.Frames, 1))
		}
	}
	planes := can.Collected || !slices.ContainsFunc(p.Steps, func(s Step) bool { return !s.Fast })
	held := decoded(p, original, planes) * frames
	total := held
	for _, s := range shapes {
		if original.Orientation > 1 && !s.r.KeepOrientation {
			total += held
			break
		}
	}
	total += p.most(shapes, original, frames, writing{abreast: can.Abreast, straight: p.straight(shapes), decoded: held})
	fixed := int64(base)
	if can.Collected {
		total += total / 2
		fixed = baseCollected
	}
	if slices.ContainsFunc(shapes, func(s shape) bool { return heavy(s.r, original) }) {
		fixed += lingering
	}
	if original.Format != "jpeg" {
		total += held
		if can.Collected {
			total -= held / 2
		}
	}
	return fixed + passes(original, held) + total
}

// decoded is the size of one decoded frame. planes says that a JPEG stays as it
// is stored.
func decoded(p Plan, original engine.Picture, planes bool) int64 {
	bands, value := int64(original.Bands), int64(original.Depth+7)/8
	area := area(p.Width, p.Height) * max(value, 1)
	switch {
	case original.Format == "jpeg" && planes:
		return area * samples(original) / 2
	case draws(original.Format):
		return p.drawn(original) * pixel
	case bands < 1 || bands == 2 || bands == 3 && original.Format != "jpeg":
		bands = 4
	}
	return area * bands
}

// samples is how many values a JPEG stores for two pixels.
func samples(original engine.Picture) int64 {
	switch original.Chroma {
	case engine.Chroma420:
		return 3
	case engine.Chroma422:
		return 4
	}
	return int64(max(original.Bands, 1)) * 2
}

// passes is what a decoder holds beside the picture when it is stored in passes.
func passes(original engine.Picture, held int64) int64 {
	switch {
	case !original.Interlaced:
		return 0
	case original.Format != "jpeg":
		return held / 2
	}
	return area(original.Width, original.Height) * samples(original) * coefficient / 2
}

// crowd is how many bytes more than the decoded original all results that are made of
// its planes may take, before they are made one after the other.
const crowd = 64 << 20

// straight is the size of all results that are made of planes while these are
// decoded; 0 where they are made later.
func (p Plan) straight(shapes []shape) (all int64) {
	for _, s := range p.Steps {
		if s.planar() && s.From == Original {
			all += inPlanes(shapes[s.Rendition])
		}
	}
	if all > area(p.Width, p.Height)*3+crowd {
		return 0
	}
	return all
}

// planar reports whether a result is made of planes.
func (s Step) planar() bool { return s.Fast || s.Planes }

// inPlanes is the size of a result's planes.
func inPlanes(s shape) int64 {
	if s.r.Chroma == pipeline.Chroma444 {
		return s.sizes.Result().Pixels() * 3
	}
	return s.sizes.Result().Pixels() * 3 / 2
}

// writing is how results are written: so many at a time, while what has been decoded
// is held, or those that are made straight from its planes.
type writing struct {
	abreast           int
	straight, decoded int64
}

// beside is what the encoders may hold that still write what was made before step i:
// of all but one of those that may work at a time, and the picture of one more.
func (w writing) beside(p Plan, i int, shapes []shape, original engine.Picture) (bytes int64) {
	var alone []Step
	for _, s := range p.Steps[:i] {
		r := shapes[s.Rendition].r
		side := r.Metadata == pipeline.Strip && r.Profile == pipeline.SRGB && !r.Animated
		if side && s.planar() == p.Steps[i].planar() {
			alone = append(alone, s)
		}
	}
	picture := func(s Step) int64 {
		switch {
		case !s.planar():
			return shapes[s.Rendition].sizes.Result().Pixels() * pixel
		case w.straight > 0 && s.From == Original:
			return 0
		}
		return inPlanes(shapes[s.Rendition])
	}
	whole := func(s Step) int64 {
		return picture(s) + shapes[s.Rendition].sizes.Result().Pixels()*encoding(shapes[s.Rendition].r, original)
	}
	slices.SortStableFunc(alone, func(a, b Step) int { return cmp.Compare(whole(b), whole(a)) })
	for n, s := range alone {
		switch {
		case n < w.abreast-1:
			bytes += whole(s)
		case n == w.abreast-1 && n > 0:
			bytes += picture(s)
		}
	}
	return bytes
}

// most is the largest of what the steps hold: the pictures that are kept for
// later ones, their own work, and what is beside.
func (p Plan) most(shapes []shape, original engine.Picture, frames int64, w writing) int64 {
	last := map[int]int{} // rendition: the last step that continues from it
	for i, s := range p.Steps {
		if s.From != Original {
			last[s.From] = i
		}
	}
	var most int64
	for i, step := range p.Steps {
		held := work(p, shapes, step, original)*frames + w.beside(p, i, shapes, original)
		if step.planar() {
			held += max(w.straight-w.decoded, 0)
		}
		for j := range i {
			r := p.Steps[j].Rendition
			if last[r] >= i {
				held += area(shapes[r].toW, shapes[r].toH) * pixel
			}
		}
		most = max(most, held)
	}
	return most
}

func area(w, h int) int64 { return int64(w) * int64(h) }

// work is the most that one rendition holds at a time, beside what it begins
// with: the decoded original or a picture that is kept.
func work(p Plan, shapes []shape, step Step, original engine.Picture) int64 {
	s := shapes[step.Rendition]
	start := max(p.Height, p.Width)
	if step.From != Original {
		start = shapes[step.From].toH
	}
	var most int64
	first := 0
	if s.begins {
		first = s.first // what stands before it are cuts, which copy nothing
	}
	for i := first; i < len(s.r.Operations); i++ {
		in, out := s.sizes[i], s.sizes[i+1]
		before, between := in.Pixels(), out.Pixels()
		if i == first {
			before = 0
		}
		switch s.r.Operations[i].(type) {
		case pipeline.Crop:
			between = 0 // a view
		case pipeline.Resize:
			rows := in.Height
			if i == first {
				rows = min(rows, start)
			}
			// One direction is scaled after the other, once a cheaper way has brought
			// the picture to about twice the size.
			between = min(area(out.Width, rows), 4*out.Pixels())
		}
		most = max(most, (before+between+out.Pixels())*pixel)
	}
	end := s.sizes.Result().Pixels()
	return max(most, end*(pixel+encoding(s.r, original)))
}

// heavy reports whether a result is written by an encoder of films.
func heavy(r pipeline.Rendition, original engine.Picture) bool {
	return r.Format == pipeline.JXL || r.Format == pipeline.AVIF || r.Format == pipeline.Same && original.Format == "avif"
}

// encoding is what an encoder needs for each pixel of the result beside it, in
// bytes.
func encoding(r pipeline.Rendition, original engine.Picture) int64 {
	extra := int64(0)
	if r.TargetSSIM != 0 {
		extra = 2 * pixel // the picture decoded again, and the maps of likeness
	}
	switch format := r.Format; {
	case heavy(r, original):
		return 48 + extra
	case r.Lossless:
		return 48
	case format == pipeline.WebP || format == pipeline.Same && original.Format == "webp":
		return 6 + extra
	case r.Progressive, format == pipeline.GIF, r.Colors > 0:
		return 6 + extra
	}
	return 1 + extra
}

// Most is a guess for an original of which nothing is known but the limits that
// it must keep: as many pixels as are allowed, in colour and with transparency.
func Most(l engine.Limits) int64 {
	return base + l.WithDefaults().InputPixels*pixel
}
