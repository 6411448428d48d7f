package pipeline

// What a document may leave out.
const (
	defaultThreshold = 10
	defaultSepia     = 100
	defaultFlatten   = "#ffffff"
	defaultLetters   = 32
	defaultInk       = "#000000"
	defaultOpacity   = 1
)

func readTrim(f *fields) Operation {
	o := Trim{Threshold: defaultThreshold, Background: lower(f.text("background"))}
	if v, ok := f.integer("threshold"); ok {
		o.Threshold = v
	}
	return o
}

func readExtend(f *fields) Operation {
	o := Extend{Background: lower(f.text("background"))}
	o.Top, _ = f.integer("top")
	o.Right, _ = f.integer("right")
	o.Bottom, _ = f.integer("bottom")
	o.Left, _ = f.integer("left")
	return o
}

func readWatermark(f *fields) Operation {
	o := Watermark{
		Image: f.text("image"), Rendition: f.text("rendition"), Gravity: Gravity(f.text("gravity")),
		Opacity: f.fraction("opacity", defaultOpacity), Scale: f.share("scale"),
	}
	o.X, _ = f.integer("x")
	o.Y, _ = f.integer("y")
	o.Tile, _ = f.flag("tile")
	return o
}

func readText(f *fields) Operation {
	o := Text{
		Text: f.text("text"), Size: f.fraction("size", defaultLetters), Color: lower(f.textOr("color", defaultInk)),
		Gravity: Gravity(f.text("gravity")), Opacity: f.fraction("opacity", defaultOpacity),
	}
	o.X, _ = f.integer("x")
	o.Y, _ = f.integer("y")
	return o
}

// normal writes out the default fit and gives colours their canonical form.
func normal(op Operation) Operation {
	switch o := op.(type) {
	case Resize:
		if o.Fit == "" {
			o.Fit = Contain
		}
		o.Background = lower(string(o.Background))
		return o
	case Rotate:
		o.Background = lower(string(o.Background))
		return o
	case Trim:
		o.Background = lower(string(o.Background))
		return o
	case Extend:
		o.Background = lower(string(o.Background))
		return o
	case Tint:
		o.Color = lower(string(o.Color))
		return o
	case Flatten:
		o.Background = lower(string(o.Background))
		return o
	case Text:
		o.Color = lower(string(o.Color))
		return o
	}
	return op
}
