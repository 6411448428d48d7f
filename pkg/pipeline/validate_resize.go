package pipeline

import "math"

// The ranges of a resize by something else than its sides.
const (
	minShare, maxShare           = 0.1, 1000
	minMegapixels, maxMegapixels = 0.001, 100
	maxDPR                       = 8
)

func (o Resize) validate() *Error {
	if err := o.ranges(); err != nil {
		return err
	}
	switch {
	case o.Percent != 0 || o.Megapixels != 0:
		if err := o.alone(); err != nil {
			return err
		}
	case o.Width == 0 && o.Height == 0:
		return wrong("width", "width, height or both must be given, 1 to %d pixels, or percent, or megapixels", MaxSide)
	}
	both := o.Fit == Cover || o.Fit == Pad || o.Fit == Stretch
	switch {
	case both && o.Width == 0:
		return wrong("width", "is missing; fit %s needs width and height", o.Fit)
	case both && o.Height == 0:
		return wrong("height", "is missing; fit %s needs width and height", o.Fit)
	case o.Gravity != "" && o.Fit != Cover && o.Fit != Pad:
		return wrong("gravity", "has no meaning here; it is for fit cover and pad")
	case o.Gravity.smart() && o.Fit == Pad:
		return o.Gravity.place("gravity")
	case o.Background != "" && o.Fit != Pad:
		return wrong("background", "has no meaning here; it is for fit pad")
	}
	return o.dense()
}

// ranges checks each field for itself.
func (o Resize) ranges() *Error {
	err := firstOf(
		side("width", o.Width, 0),
		side("height", o.Height, 0),
		oneOf("fit", o.Fit, "", Contain, Cover, Pad, Stretch),
		o.Gravity.validate("gravity"),
		o.Background.validate("background"),
	)
	if err == nil && o.Percent != 0 {
		err = inRange("percent", o.Percent, minShare, maxShare)
	}
	if err == nil && o.Megapixels != 0 {
		err = inRange("megapixels", o.Megapixels, minMegapixels, maxMegapixels)
	}
	if err == nil && o.DPR != 0 {
		err = inRange("dpr", o.DPR, 1, maxDPR)
	}
	return err
}

// alone checks that percent or megapixels are the only measure.
func (o Resize) alone() *Error {
	by := "percent"
	if o.Percent == 0 {
		by = "megapixels"
	}
	switch {
	case o.Width != 0 || o.Height != 0:
		return wrong(by, "cannot stand beside width and height; give the one or the other")
	case o.Percent != 0 && o.Megapixels != 0:
		return wrong("megapixels", "cannot stand beside percent; give the one or the other")
	case o.DPR != 0:
		return wrong("dpr", "has no meaning here; it multiplies width and height")
	case o.Fit != "" && o.Fit != Contain:
		return wrong("fit", "is %q; with %s allowed is contain", string(o.Fit), by)
	}
	return nil
}

// dense checks that width and height times dpr stay within MaxSide.
func (o Resize) dense() *Error {
	if w, h := o.multiplied(); max(w, h) > MaxSide {
		return wrong("dpr", "is %g, which makes %d pixels of %d; allowed is %d", o.DPR, max(w, h), max(o.Width, o.Height), MaxSide)
	}
	return nil
}

// multiplied gives width and height times dpr.
func (o Resize) multiplied() (w, h int) {
	if o.DPR == 0 {
		return o.Width, o.Height
	}
	return int(math.Round(float64(o.Width) * o.DPR)), int(math.Round(float64(o.Height) * o.DPR))
}
