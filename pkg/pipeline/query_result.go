package pipeline

import "strings"

// result reads the parameters that say how the result is written.
func (q *query) result(r *Rendition) {
	r.Format = Format(strings.ToLower(q.text("format")))
	if r.Format == "jpg" {
		r.Format = JPEG
	}
	q.likeness(r)
	r.MaxBytes = int64(q.positive("maxBytes"))
	r.Effort, r.Colors = q.positive("effort"), q.positive("colors")
	r.Progressive = q.has("progressive") && q.flag("progressive")
	r.Lossless = q.has("lossless") && q.flag("lossless")
	r.Animated = q.has("animated") && q.flag("animated")
	r.Frame, _ = q.integer("frame")
	r.Chroma = Chroma(q.text("chroma"))
	r.Metadata, r.Profile = Metadata(q.text("metadata")), Profile(q.text("profile"))
}

// likeness reads quality=, a number or auto, and ssim=.
func (q *query) likeness(r *Rendition) {
	if q.has("quality") && q.values.Get("quality") == "auto" {
		r.TargetSSIM = DefaultSSIM
	} else if v, ok := q.integer("quality"); ok {
		r.Quality = v
		if v == 0 {
			q.fail("quality", "is 0; allowed is 1 to %d, or auto", maxQuality)
		}
	}
	v, ok := q.number("ssim")
	switch {
	case !ok:
	case r.TargetSSIM != 0 || r.Quality != 0:
		q.fail("ssim", "cannot stand beside quality; give the one or the other")
	case v == 0:
		q.fail("ssim", "is 0; allowed is %g to %g", minSSIM, maxSSIM)
	}
	if ok {
		r.TargetSSIM = v
	}
}

// describe reads describe=, a list with commas.
func (q *query) describe() []Facet {
	text := q.text("describe")
	if text == "" {
		return nil
	}
	var list []Facet
	for name := range strings.SplitSeq(text, ",") {
		list = append(list, Facet(name))
	}
	return list
}
