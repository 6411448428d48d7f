package pipeline

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// FromQuery reads a pipeline of one rendition from query parameters. given is
// false, and the pipeline empty, when there is none of its parameters.
//
// However they are ordered in the query, operations are carried out in this
// order:
//
//	autoOrient=false         keep the picture as stored (default: upright)
//	frame=N  animated        which frame; all of them
//	trim or trim=T or T,RGB  cut off a border by threshold and colour
//	crop=WxH or WxH@X,Y      cut, by gravity or at a place
//	width= height=           resize, with fit=, noEnlarge, dpr=, gravity=, background=
//	percent= or megapixels=  resize, with noEnlarge
//	extend=TOP,RIGHT,BOTTOM,LEFT   a border in background=
//	rotate=DEGREES           clockwise, corners in background=
//	flip=h|v|hv
//	brightness= contrast=    percent
//	gamma= saturation= hue=  value, percent, degrees
//	grayscale                or grayscale=false, as all flags
//	sepia or sepia=PERCENT   tint=RGB
//	invert
//	swap=rb                  exchange red and blue
//	extract=red|green|blue|alpha
//	blur= sharpen=           sigma
//	pixelate=SIZE
//	watermark=ID or ID/RENDITION   with wm_gravity= wm_x= wm_y= wm_opacity= wm_scale= wm_tile
//	text=WORDS               with text_size= text_color= text_gravity= text_x= text_y= text_opacity=
//	round=RADIUS or P%       transparent corners
//	flatten or flatten=RGB   on background= or the colour
//	format=                  of the result; background= lies under transparency
//	quality= or ssim=        quality=auto is ssim=0.98
//	maxBytes= effort= progressive chroma= lossless colors= metadata= profile=
//	describe=FACET,FACET     exif, colors, blurhash, phash
//
// A flag is true, false, 1, 0 or bare. gravity=focus looks at fp=X,Y, and fp
// alone stands for both. fit also knows "fit" (contain) and "fill" (cover); a
// colour may leave its "#" out. Parameters listed in known are the caller's own
// and left alone; any other, and any that is repeated, is refused. The error is
// an *Error whose path is the parameter's name.
func FromQuery(values url.Values, known ...string) (p Pipeline, given bool, err error) {
	q := &query{values: values}
	r, describe := q.rendition(), q.describe()
	if err := q.done(known); err != nil {
		return Pipeline{}, false, err
	}
	if !q.given {
		return Pipeline{}, false, nil
	}
	p = single(r)
	p.Describe = describe
	if err := p.validate(); err != nil {
		err.Path = q.parameter(err.Path)
		return Pipeline{}, true, err
	}
	p.Describe = inOrder(p.Describe)
	return p, true, nil
}

// query reads parameters by name and remembers the first thing that is wrong,
// and for each operation which parameter its fields came from.
type query struct {
	values url.Values
	names  []string
	given  bool
	err    *Error
	from   []map[string]string
}

// add appends an operation; from maps its fields to parameters, with "" for
// those that are called differently from their field.
func (q *query) add(r *Rendition, op Operation, from map[string]string) {
	r.Operations = append(r.Operations, op)
	q.from = append(q.from, from)
}

// rendition reads all parameters in the documented order.
func (q *query) rendition() Rendition {
	r := Rendition{Name: DefaultName}
	if q.has("autoOrient") {
		r.KeepOrientation = !q.flag("autoOrient")
	}
	q.focal(&r)
	gravity, background := Gravity(q.text("gravity")), q.color("background")
	if gravity == "" && r.FocalPoint != nil {
		gravity = Focus
	}
	q.trim(&r)
	held := q.crop(&r, gravity)
	held = q.resize(&r, gravity, background) || held
	if gravity != "" && !held {
		q.fail(q.first("gravity", "fp"), "has no meaning here; it is for crop and for fit cover and pad")
	}
	q.extend(&r, background)
	if angle, ok := q.number("rotate"); ok {
		q.add(&r, Rotate{angle, background}, map[string]string{"": "rotate", "background": "background"})
	}
	q.flip(&r)
	q.tones(&r)
	q.watermark(&r)
	q.write(&r)
	q.round(&r)
	q.flatten(&r, background)
	q.result(&r)
	r.Background = background
	return r
}

// cropPattern is WxH with an optional place.
var cropPattern = regexp.MustCompile(`^(\d{1,6})x(\d{1,6})(?:@(\d{1,6}),(\d{1,6}))?$`)

// crop reads crop= and reports whether the gravity took effect.
func (q *query) crop(r *Rendition, gravity Gravity) bool {
	text := q.text("crop")
	if text == "" {
		return false
	}
	m := cropPattern.FindStringSubmatch(text)
	if m == nil {
		q.fail("crop", "is %q; allowed is WIDTHxHEIGHT or WIDTHxHEIGHT@X,Y", clip(text))
		return false
	}
	// The pattern admits nothing that Atoi refuses.
	w, _ := strconv.Atoi(m[1])
	h, _ := strconv.Atoi(m[2])
	o := Crop{Width: w, Height: h}
	if m[3] == "" {
		o.Gravity = gravity
	} else {
		x, _ := strconv.Atoi(m[3])
		y, _ := strconv.Atoi(m[4])
		o.X, o.Y = &x, &y
	}
	q.add(r, o, map[string]string{"": "crop", "gravity": "gravity"})
	return m[3] == ""
}

// resize reads width=, height=, percent=, megapixels= and what belongs to them,
// and reports whether the gravity took effect.
func (q *query) resize(r *Rendition, gravity Gravity, background Color) bool {
	width, okW := q.integer("width")
	height, okH := q.integer("height")
	fit := Fit(q.text("fit"))
	switch fit { //nolint:exhaustive // the other names are the fits themselves
	case "", "fit":
		fit = Contain
	case "fill":
		fit = Cover
	}
	o := Resize{
		Width: width, Height: height, Fit: fit, NoEnlarge: q.has("noEnlarge") && q.flag("noEnlarge"),
		Percent: q.above0("percent"), Megapixels: q.above0("megapixels"), DPR: q.above0("dpr"),
	}
	if !okW && !okH && o.Percent == 0 && o.Megapixels == 0 {
		for _, name := range []string{"fit", "noEnlarge", "dpr"} {
			if q.values.Has(name) {
				q.fail(name, "has no meaning without width or height")
			}
		}
		return false
	}
	cuts := fit == Cover || fit == Pad
	if cuts {
		o.Gravity = gravity
	}
	if fit == Pad {
		o.Background = background
	}
	q.add(r, o, nil)
	return cuts
}

// parameter turns a path within the one rendition back into the name of the
// parameter that the field was read from.
func (q *query) parameter(path string) string {
	path = strings.TrimPrefix(path, "renditions[0].")
	switch {
	case strings.HasPrefix(path, "focalPoint"):
		return "fp"
	case strings.HasPrefix(path, "describe"):
		return "describe"
	case path == "quality.ssim":
		return "ssim"
	}
	var i int
	var field string
	if n, _ := fmt.Sscanf(path, "operations[%d].%s", &i, &field); n != 2 || i >= len(q.from) {
		return path
	}
	from := q.from[i]
	switch {
	case from == nil:
		return field
	case from[field] != "":
		return from[field]
	}
	return from[""]
}
