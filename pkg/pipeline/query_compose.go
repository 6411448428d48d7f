package pipeline

import (
	"regexp"
	"strconv"
	"strings"
)

// wholes reads a list of whole numbers. The patterns that admit them admit
// nothing that Atoi refuses.
func wholes(list ...string) []int {
	out := make([]int, len(list))
	for i, s := range list {
		out[i], _ = strconv.Atoi(s)
	}
	return out
}

// trimPattern is a threshold with an optional colour.
var trimPattern = regexp.MustCompile(`^(\d{1,6})(?:,#?([0-9a-fA-F]{6}(?:[0-9a-fA-F]{2})?))?$`)

// trim reads trim=, bare or with a threshold and a colour.
func (q *query) trim(r *Rendition) {
	if !q.has("trim") {
		return
	}
	o := Trim{Threshold: defaultThreshold}
	switch text := q.values.Get("trim"); text {
	case "", "true":
	case "false":
		return
	default:
		m := trimPattern.FindStringSubmatch(text)
		if m == nil {
			q.fail("trim", "is %q; allowed is THRESHOLD or THRESHOLD,COLOR, the threshold 0 to %d", clip(text), maxThreshold)
			return
		}
		o.Threshold = wholes(m[1])[0]
		if m[2] != "" {
			o.Background = lower("#" + m[2])
		}
	}
	q.add(r, o, map[string]string{"": "trim"})
}

// extendPattern is four sides.
var extendPattern = regexp.MustCompile(`^(\d{1,6}),(\d{1,6}),(\d{1,6}),(\d{1,6})$`)

func (q *query) extend(r *Rendition, background Color) {
	text := q.text("extend")
	if text == "" {
		return
	}
	m := extendPattern.FindStringSubmatch(text)
	if m == nil {
		q.fail("extend", "is %q; allowed is TOP,RIGHT,BOTTOM,LEFT", clip(text))
		return
	}
	v := wholes(m[1:]...)
	o := Extend{Top: v[0], Right: v[1], Bottom: v[2], Left: v[3], Background: background}
	q.add(r, o, map[string]string{"": "extend", "background": "background"})
}

// focalPattern is two fractions.
var focalPattern = regexp.MustCompile(`^(\d(?:\.\d{1,9})?),(\d(?:\.\d{1,9})?)$`)

// focal reads fp=.
func (q *query) focal(r *Rendition) {
	text := q.text("fp")
	if text == "" {
		return
	}
	m := focalPattern.FindStringSubmatch(text)
	if m == nil {
		q.fail("fp", "is %q; allowed is X,Y, each 0 to 1", clip(text))
		return
	}
	x, _ := strconv.ParseFloat(m[1], 64)
	y, _ := strconv.ParseFloat(m[2], 64)
	r.FocalPoint = &Focal{X: x, Y: y}
}

// watermark reads watermark=ID or ID/RENDITION and the wm_ parameters.
func (q *query) watermark(r *Rendition) {
	image, rendition, _ := strings.Cut(q.text("watermark"), "/")
	o := Watermark{Image: image, Rendition: rendition, Gravity: Gravity(q.text("wm_gravity")), Opacity: defaultOpacity}
	o.X, _ = q.integer("wm_x")
	o.Y, _ = q.integer("wm_y")
	if v, ok := q.number("wm_opacity"); ok {
		o.Opacity = v
	}
	o.Scale = q.above0("wm_scale")
	o.Tile = q.has("wm_tile") && q.flag("wm_tile")
	if !q.values.Has("watermark") {
		q.pointless("wm_", "has no meaning without watermark")
		return
	}
	q.add(r, o, map[string]string{
		"": "watermark", "gravity": "wm_gravity", "x": "wm_x", "y": "wm_y", "opacity": "wm_opacity", "scale": "wm_scale",
	})
}

// write reads text= and the text_ parameters.
func (q *query) write(r *Rendition) {
	o := Text{
		Text: q.text("text"), Size: defaultLetters, Color: defaultInk, Gravity: Gravity(q.text("text_gravity")),
		Opacity: defaultOpacity,
	}
	if v, ok := q.number("text_size"); ok {
		o.Size = v
	}
	if c := q.color("text_color"); c != "" {
		o.Color = c
	}
	o.X, _ = q.integer("text_x")
	o.Y, _ = q.integer("text_y")
	if v, ok := q.number("text_opacity"); ok {
		o.Opacity = v
	}
	if !q.values.Has("text") {
		q.pointless("text_", "has no meaning without text")
		return
	}
	q.add(r, o, map[string]string{
		"": "text", "size": "text_size", "color": "text_color", "gravity": "text_gravity", "x": "text_x", "y": "text_y",
		"opacity": "text_opacity",
	})
}

// round reads round=RADIUS or round=PERCENT%.
func (q *query) round(r *Rendition) {
	text := q.text("round")
	if text == "" {
		return
	}
	var o RoundCorners
	var err error
	if share, ok := strings.CutSuffix(text, "%"); ok {
		o.Percent, err = strconv.ParseFloat(share, 64)
	} else {
		o.Radius, err = strconv.Atoi(text)
	}
	if err != nil {
		q.fail("round", "is %q; allowed is a radius in pixels, 1 to %d, or %g%% to %d%%", clip(text), maxRadius, minCorner, maxCorner)
	}
	q.add(r, o, map[string]string{"": "round"})
}

// flatten reads flatten, bare or with a colour; a bare one takes background=.
func (q *query) flatten(r *Rendition, background Color) {
	if !q.has("flatten") {
		return
	}
	switch v := q.values.Get("flatten"); v {
	case "false", "0":
		return
	case "", "true", "1":
		if background == "" {
			background = defaultFlatten
		}
		q.add(r, Flatten{background}, map[string]string{"": "background"})
	default:
		q.add(r, Flatten{lower("#" + strings.TrimPrefix(v, "#"))}, map[string]string{"": "flatten"})
	}
}

// pointless refuses the first parameter with a prefix.
func (q *query) pointless(prefix, why string) {
	for _, name := range q.names {
		if strings.HasPrefix(name, prefix) && q.values.Has(name) {
			q.fail(name, "%s", why)
		}
	}
}
