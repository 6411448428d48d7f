package pipeline

import "slices"

// setSize is how many renditions Expand makes of one at most.
const setSize = 3

// Expand turns every rendition in format Auto into the set that an Accept
// header chooses from. The rendition itself stays, as the file that everyone can
// show; behind it come "name.webp" and "name.avif" where can says that such
// files can be written. AVIF is left out for a rendition that keeps animation.
// Expanding again changes nothing, and p is left as it is.
//
// The result is valid, but Parse refuses it for its names. It may have up to
// three times MaxRenditions.
func (p Pipeline) Expand(can func(Format) bool) Pipeline {
	var out []Rendition
	for _, r := range p.Renditions {
		out = append(out, r)
		if r.Format != Auto {
			continue
		}
		for _, f := range []Format{WebP, AVIF} {
			name := r.Name + "." + string(f)
			there := slices.ContainsFunc(p.Renditions, func(o Rendition) bool { return o.Name == name })
			if !there && can(f) && (f != AVIF || !r.Animated) {
				out = append(out, r.as(f, name))
			}
		}
	}
	p.Renditions = out
	return p
}

// as gives r under another name in a format of the set, without what means
// nothing there.
func (r Rendition) as(f Format, name string) Rendition {
	r.Name, r.Format, r.Progressive = name, f, false
	if f == WebP {
		r.Chroma = ""
	}
	return r
}
