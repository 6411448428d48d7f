package pipeline

import "strings"

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
	q.sepia(r)
	if c := q.color("tint"); c != "" {
		q.add(r, Tint{c}, map[string]string{"": "tint"})
	}
	plain("invert", Invert{})
	switch v := q.text("swap"); v {
	case "":
	case "rb", "br":
		q.add(r, SwapRedBlue{}, nil)
	default:
		q.fail("swap", "is %q; allowed is rb", clip(v))
	}
	if v := q.text("extract"); v != "" {
		q.add(r, ExtractChannel{Channel(v)}, map[string]string{"": "extract"})
	}
	amount("blur", func(v float64) Operation { return Blur{v} })
	amount("sharpen", func(v float64) Operation { return Sharpen{v} })
	if v, ok := q.integer("pixelate"); ok {
		q.add(r, Pixelate{v}, map[string]string{"": "pixelate"})
	}
}

// sepia reads sepia, bare or with a percentage. 1 is a percentage, not a flag.
func (q *query) sepia(r *Rendition) {
	if !q.has("sepia") {
		return
	}
	o := Sepia{defaultSepia}
	switch q.values.Get("sepia") {
	case "", "true":
	case "false":
		return
	default:
		o.Percent, _ = q.number("sepia")
	}
	q.add(r, o, map[string]string{"": "sepia"})
}
