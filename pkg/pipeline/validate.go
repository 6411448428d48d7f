package pipeline

// The ranges that several operations share.
const (
	minSigma, maxSigma     = 0.1, 100
	minPercent, maxPercent = -100, 100
	minGamma, maxGamma     = 0.1, 10
	maxDegrees             = 360
	minOpacity             = 0.01
)

// firstOf gives the first error of a list, so that checks can stand in a row.
func firstOf(errs ...*Error) *Error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// side checks a width or height; 0 is allowed where it may be left out.
func side(name string, v, lo int) *Error {
	if v < lo || v > MaxSide {
		return wrong(name, "is %d; allowed is 1 to %d pixels", v, MaxSide)
	}
	return nil
}

func (o Crop) validate() *Error {
	err := firstOf(
		side("width", o.Width, 1),
		side("height", o.Height, 1),
		o.Gravity.validate("gravity"),
		offset("x", o.X),
		offset("y", o.Y),
	)
	switch {
	case err != nil:
		return err
	case o.X == nil && o.Y != nil:
		return wrong("x", "is missing; x and y go together")
	case o.X != nil && o.Y == nil:
		return wrong("y", "is missing; x and y go together")
	case o.X != nil && o.Gravity != "":
		return wrong("gravity", "cannot stand beside x and y; give the one or the other")
	}
	return nil
}

// offset checks an optional x or y.
func offset(name string, v *int) *Error {
	if v != nil && (*v < 0 || *v > MaxOffset) {
		return wrong(name, "is %d; allowed is 0 to %d pixels", *v, MaxOffset)
	}
	return nil
}

func (o Rotate) validate() *Error {
	return firstOf(inRange("angle", o.Angle, -maxDegrees, maxDegrees), o.Background.validate("background"))
}

func (o Flip) validate() *Error {
	if !o.Horizontal && !o.Vertical {
		return wrong("horizontal", "horizontal, vertical or both must be true")
	}
	return nil
}

func (o Blur) validate() *Error       { return inRange("sigma", o.Sigma, minSigma, maxSigma) }
func (o Sharpen) validate() *Error    { return inRange("sigma", o.Sigma, minSigma, maxSigma) }
func (o Brightness) validate() *Error { return inRange("percent", o.Percent, minPercent, maxPercent) }
func (o Contrast) validate() *Error   { return inRange("percent", o.Percent, minPercent, maxPercent) }
func (o Saturation) validate() *Error { return inRange("percent", o.Percent, minPercent, maxPercent) }
func (o Gamma) validate() *Error      { return inRange("value", o.Value, minGamma, maxGamma) }
func (o Hue) validate() *Error        { return inRange("degrees", o.Degrees, -maxDegrees, maxDegrees) }
func (Grayscale) validate() *Error    { return nil }
func (Invert) validate() *Error       { return nil }
func (SwapRedBlue) validate() *Error  { return nil }
