package pipeline

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The ranges of the operations in compose.go.
const (
	maxThreshold           = 255
	minSquare, maxSquare   = 2, 1000
	maxRadius              = 8192
	minCorner, maxCorner   = 0.1, 50
	minScale               = 0.01
	minLetters, maxLetters = 4, 1000
)

func (o Trim) validate() *Error {
	return firstOf(whole("threshold", o.Threshold, 0, maxThreshold), o.Background.validate("background"))
}

func (o Extend) validate() *Error {
	err := firstOf(
		whole("top", o.Top, 0, MaxSide), whole("right", o.Right, 0, MaxSide),
		whole("bottom", o.Bottom, 0, MaxSide), whole("left", o.Left, 0, MaxSide),
		o.Background.validate("background"),
	)
	if err == nil && o.Top+o.Right+o.Bottom+o.Left == 0 {
		return wrong("top", "top, right, bottom, left or several must be given, 1 to %d pixels", MaxSide)
	}
	return err
}

func (o Pixelate) validate() *Error { return whole("size", o.Size, minSquare, maxSquare) }
func (o Sepia) validate() *Error    { return inRange("percent", o.Percent, 0, maxPercent) }
func (o Tint) validate() *Error     { return o.Color.opaque("color") }
func (o Flatten) validate() *Error  { return o.Background.opaque("background") }

func (o ExtractChannel) validate() *Error {
	return oneOf("channel", o.Channel, Red, Green, Blue, Alpha)
}

func (o RoundCorners) validate() *Error {
	switch {
	case o.Radius == 0 && o.Percent == 0:
		return wrong("radius", "radius, 1 to %d pixels, or percent, %g to %d, must be given", maxRadius, minCorner, maxCorner)
	case o.Radius != 0 && o.Percent != 0:
		return wrong("percent", "cannot stand beside radius; give the one or the other")
	case o.Radius != 0:
		return whole("radius", o.Radius, 1, maxRadius)
	}
	return inRange("percent", o.Percent, minCorner, maxCorner)
}

// An ID is what imagemill hands out; the master knows whether it exists.
var (
	idPattern    = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z-]{0,63}$`)
	assetPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}(\.[a-z]{3,4})?$`)
)

func (o Watermark) validate() *Error {
	switch {
	case o.Image == "":
		return wrong("image", "is missing; it is the ID of a finished image")
	case !idPattern.MatchString(o.Image):
		return wrong("image", "is %.64q; allowed is the ID of a finished image: 1 to 64 letters, digits and -", o.Image)
	case o.Rendition != "" && !assetPattern.MatchString(o.Rendition):
		return wrong("rendition", "is %.64q; allowed is the name of a rendition: 1 to 32 characters of a-z, 0-9, _ and -", o.Rendition)
	case o.Tile && o.Gravity != "":
		return wrong("gravity", "has no meaning here; tile begins at the top left")
	}
	lowest := -MaxSide
	if o.Tile {
		lowest = 0
	}
	err := firstOf(
		o.Gravity.place("gravity"),
		whole("x", o.X, lowest, MaxSide), whole("y", o.Y, lowest, MaxSide),
		inRange("opacity", o.Opacity, minOpacity, 1),
	)
	if err == nil && o.Scale != 0 {
		return inRange("scale", o.Scale, minScale, 1)
	}
	return err
}

func (o Text) validate() *Error {
	switch n := utf8.RuneCountInString(o.Text); {
	case n < 1:
		return wrong("text", "is missing; allowed are 1 to %d characters", MaxText)
	case n > MaxText:
		return wrong("text", "has %d characters; allowed are 1 to %d", n, MaxText)
	case !utf8.ValidString(o.Text):
		return wrong("text", "is not UTF-8")
	case strings.IndexFunc(o.Text, unwritable) >= 0:
		return wrong("text", "holds a control character; of those only \\n is allowed, which begins a new line")
	}
	err := firstOf(
		inRange("size", o.Size, minLetters, maxLetters),
		o.Color.validate("color"),
		o.Gravity.place("gravity"),
		whole("x", o.X, -MaxSide, MaxSide), whole("y", o.Y, -MaxSide, MaxSide),
		inRange("opacity", o.Opacity, minOpacity, 1),
	)
	if err == nil && o.Color == "" {
		return wrong("color", "is missing; allowed is #rrggbb or #rrggbbaa")
	}
	return err
}

func unwritable(r rune) bool { return r != '\n' && unicode.IsControl(r) }

// whole refuses a whole number outside lo to hi.
func whole(path string, v, lo, hi int) *Error {
	if v >= lo && v <= hi {
		return nil
	}
	return wrong(path, "is %d; allowed is %d to %d", v, lo, hi)
}
