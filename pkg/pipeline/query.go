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
//	crop=WxH or WxH@X,Y      cut, by gravity or at a place
//	width= height=           resize, with fit=, noEnlarge, gravity=, background=
//	rotate=DEGREES           clockwise, corners in background=
//	flip=h|v|hv
//	brightness= contrast=    percent
//	gamma= saturation= hue=  value, percent, degrees
//	grayscale  invert
//	swap=rb                  exchange red and blue
//	blur= sharpen=           sigma
//	format= quality=         of the result; background= lies under transparency
//
// A flag is true, false, 1, 0 or bare. fit also knows "fit" (contain) and
// "fill" (cover); a colour may leave its "#" out. Parameters listed in known
// are the caller's own and left alone; any other, and any that is repeated, is
// refused. The error is an *Error whose path is the parameter's name.
func FromQuery(values url.Values, known ...string) (p Pipeline, given bool, err error) {
	q := &query{values: values}
	r := q.rendition()
	if err := q.done(known); err != nil {
		return Pipeline{}, false, err
	}
	if !q.given {
		return Pipeline{}, false, nil
	}
	p = single(r)
	if err := p.validate(); err != nil {
		err.Path = q.parameter(err.Path)
		return Pipeline{}, true, err
	}
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
	gravity, background := Gravity(q.text("gravity")), q.color("background")
	held := q.crop(&r, gravity)
	held = q.resize(&r, gravity, background) || held
	if gravity != "" && !held {
		q.fail("gravity", "has no meaning here; it is for crop and for fit cover and pad")
	}
	if angle, ok := q.number("rotate"); ok {
		q.add(&r, Rotate{angle, background}, map[string]string{"": "rotate", "background": "background"})
	}
	q.flip(&r)
	q.tones(&r)
	r.Format, r.Background = Format(strings.ToLower(q.text("format"))), background
	if r.Format == "jpg" {
		r.Format = JPEG
	}
	if v, ok := q.integer("quality"); ok {
		r.Quality = v
		if v == 0 {
			q.fail("quality", "is 0; allowed is 1 to 100")
		}
	}
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

// resize reads width=, height= and what belongs to them, and reports whether
// the gravity took effect.
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
	noEnlarge := q.has("noEnlarge") && q.flag("noEnlarge")
	if !okW && !okH {
		for _, name := range []string{"fit", "noEnlarge"} {
			if q.values.Has(name) {
				q.fail(name, "has no meaning without width or height")
			}
		}
		return false
	}
	o := Resize{Width: width, Height: height, Fit: fit, NoEnlarge: noEnlarge}
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

func (q *query) flip(r *Rendition) {
	switch v := q.text("flip"); v {
	case "":
	case "h", "v", "hv", "vh":
		q.add(r, Flip{strings.Contains(v, "h"), strings.Contains(v, "v")}, nil)
	default:
		q.fail("flip", "is %q; allowed is h, v or hv", clip(v))
	}
}

// tones reads the parameters that change colours and sharpness.
func (q *query) tones(r *Rendition) {
	amount := func(name string, op func(v float64) Operation) {
		if v, ok := q.number(name); ok {
			q.add(r, op(v), map[string]string{"": name})
		}
	}
	plain := func(name string, op Operation) {
		if q.has(name) && q.flag(name) {
			q.add(r, op, nil)
		}
	}
	amount("brightness", func(v float64) Operation { return Brightness{v} })
	amount("contrast", func(v float64) Operation { return Contrast{v} })
	amount("gamma", func(v float64) Operation { return Gamma{v} })
	amount("saturation", func(v float64) Operation { return Saturation{v} })
	amount("hue", func(v float64) Operation { return Hue{v} })
	plain("grayscale", Grayscale{})
	plain("invert", Invert{})
	switch v := q.text("swap"); v {
	case "":
	case "rb", "br":
		q.add(r, SwapRedBlue{}, nil)
	default:
		q.fail("swap", "is %q; allowed is rb", clip(v))
	}
	amount("blur", func(v float64) Operation { return Blur{v} })
	amount("sharpen", func(v float64) Operation { return Sharpen{v} })
}

// parameter turns a path within the one rendition back into the name of the
// parameter that the field was read from.
func (q *query) parameter(path string) string {
	path = strings.TrimPrefix(path, "renditions[0].")
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
