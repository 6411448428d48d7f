package pipeline

import "strings"

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

// pointless refuses the first parameter with a prefix.
func (q *query) pointless(prefix, why string) {
	for _, name := range q.names {
		if strings.HasPrefix(name, prefix) && q.values.Has(name) {
			q.fail(name, "%s", why)
		}
	}
}
