package pipeline

import (
	"encoding/json"
	"strings"
)

// decoders lists every operation with the function that reads its fields.
// Their order is the order in which messages name them.
var decoders = []struct {
	op   string
	read func(f *fields) Operation
}{
	{"resize", readResize},
	{"crop", readCrop},
	{"rotate", func(f *fields) Operation {
		return Rotate{Angle: f.number("angle"), Background: lower(f.text("background"))}
	}},
	{"flip", func(f *fields) Operation {
		h, _ := f.flag("horizontal")
		v, _ := f.flag("vertical")
		return Flip{Horizontal: h, Vertical: v}
	}},
	{"blur", func(f *fields) Operation { return Blur{f.number("sigma")} }},
	{"sharpen", func(f *fields) Operation { return Sharpen{f.number("sigma")} }},
	{"grayscale", func(*fields) Operation { return Grayscale{} }},
	{"brightness", func(f *fields) Operation { return Brightness{f.number("percent")} }},
	{"contrast", func(f *fields) Operation { return Contrast{f.number("percent")} }},
	{"gamma", func(f *fields) Operation { return Gamma{f.number("value")} }},
	{"saturation", func(f *fields) Operation { return Saturation{f.number("percent")} }},
	{"hue", func(f *fields) Operation { return Hue{f.number("degrees")} }},
	{"invert", func(*fields) Operation { return Invert{} }},
	{"swapRedBlue", func(*fields) Operation { return SwapRedBlue{} }},
	{"trim", readTrim},
	{"extend", readExtend},
	{"pixelate", func(f *fields) Operation { return Pixelate{f.count("size")} }},
	{"sepia", func(f *fields) Operation { return Sepia{f.fraction("percent", defaultSepia)} }},
	{"tint", func(f *fields) Operation { return Tint{lower(f.text("color"))} }},
	{"extractChannel", func(f *fields) Operation { return ExtractChannel{Channel(f.text("channel"))} }},
	{"roundCorners", func(f *fields) Operation {
		return RoundCorners{Radius: f.positive("radius"), Percent: f.share("percent")}
	}},
	{"flatten", func(f *fields) Operation { return Flatten{lower(f.textOr("background", defaultFlatten))} }},
	{"watermark", readWatermark},
	{"text", readText},
}

func readResize(f *fields) Operation {
	o := Resize{Fit: Fit(f.text("fit")), Gravity: Gravity(f.text("gravity")), Background: lower(f.text("background"))}
	o.Width, _ = f.integer("width")
	o.Height, _ = f.integer("height")
	o.NoEnlarge, _ = f.flag("noEnlarge")
	o.Percent, o.Megapixels, o.DPR = f.share("percent"), f.share("megapixels"), f.share("dpr")
	return normal(o)
}

func readCrop(f *fields) Operation {
	o := Crop{Gravity: Gravity(f.text("gravity"))}
	o.Width, _ = f.integer("width")
	o.Height, _ = f.integer("height")
	if x, ok := f.integer("x"); ok {
		o.X = &x
	}
	if y, ok := f.integer("y"); ok {
		o.Y = &y
	}
	return o
}

// parseOperation reads one operation by its discriminator.
func parseOperation(path string, raw json.RawMessage) (Operation, *Error) {
	f := readObject(path, raw)
	op := f.text("op")
	for _, d := range decoders {
		if d.op != op {
			continue
		}
		o := d.read(f)
		if err := f.done(); err != nil {
			return nil, err
		}
		return o, nil
	}
	if _, ok := f.raw["op"]; !ok {
		f.fail("op", "is missing; allowed is %s", operationNames())
	}
	f.fail("op", "is %q; allowed is %s", clip(op), operationNames())
	return nil, f.err
}

// operationNames lists all operations for messages.
func operationNames() string {
	names := make([]string, len(decoders))
	for i, d := range decoders {
		names[i] = d.op
	}
	return strings.Join(names, ", ")
}

// lower gives a colour in its canonical form.
func lower(c string) Color { return Color(strings.ToLower(c)) }
