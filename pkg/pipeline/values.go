package pipeline

import (
	"encoding/hex"
	"strings"
)

// Fit says how a picture is brought to a width and height of another shape.
type Fit string

// The ways to fit. Where both sides are needed and one is missing, the
// operation is refused.
const (
	// Contain scales to lie within width and height and keeps the shape; one
	// side may be left out. The default.
	Contain Fit = "contain"
	// Cover scales to cover width and height, and cuts off what stands over.
	Cover Fit = "cover"
	// Pad scales as Contain does and fills up to width and height.
	Pad Fit = "pad"
	// Stretch brings both sides to width and height and gives up the shape.
	Stretch Fit = "stretch"
)

// Gravity is the part of a picture to which a cut or a pad holds; empty stands
// for Center.
type Gravity string

// The gravities.
const (
	Center    Gravity = "center"
	North     Gravity = "north"
	NorthEast Gravity = "northeast"
	East      Gravity = "east"
	SouthEast Gravity = "southeast"
	South     Gravity = "south"
	SouthWest Gravity = "southwest"
	West      Gravity = "west"
	NorthWest Gravity = "northwest"

	// Attention is where the eye goes: edges, saturated colours, skin. The
	// engine chooses the place.
	Attention Gravity = "attention"
	// Entropy is where there is most to see. The engine chooses the place.
	Entropy Gravity = "entropy"
	// Focus is the rendition's FocalPoint.
	Focus Gravity = "focus"
)

// smart reports whether a gravity is no fixed place.
func (g Gravity) smart() bool { return g == Attention || g == Entropy || g == Focus }

// validate checks an optional gravity.
func (g Gravity) validate(path string) *Error {
	return oneOf(path, g, "", Center, North, NorthEast, East, SouthEast, South, SouthWest, West, NorthWest, Attention, Entropy, Focus)
}

// place checks an optional gravity that must be one of the nine places.
func (g Gravity) place(path string) *Error {
	return oneOf(path, g, "", Center, North, NorthEast, East, SouthEast, South, SouthWest, West, NorthWest)
}

// Offset gives the top left corner of an inner box of w×h within an outer one
// of W×H that g holds it to. With an inner box larger than the outer one the
// offsets are negative. Half pixels go to the left and top. Gravities that are
// no fixed place count as Center.
func (g Gravity) Offset(outerW, outerH, w, h int) (x, y int) {
	x, y = (outerW-w)>>1, (outerH-h)>>1
	s := string(g)
	switch {
	case strings.HasSuffix(s, "west"):
		x = 0
	case strings.HasSuffix(s, "east"):
		x = outerW - w
	}
	switch {
	case strings.HasPrefix(s, "north"):
		y = 0
	case strings.HasPrefix(s, "south"):
		y = outerH - h
	}
	return x, y
}

// Inset gives the top left corner as Offset does, moved by x and y: away from
// the edges that g names, or from the middle to the right and down.
func (g Gravity) Inset(outerW, outerH, w, h, x, y int) (left, top int) {
	left, top = g.Offset(outerW, outerH, w, h)
	if strings.HasSuffix(string(g), "east") {
		x = -x
	}
	if strings.HasPrefix(string(g), "south") {
		y = -y
	}
	return left + x, top + y
}

// Color is "#rrggbb" or "#rrggbbaa" in hexadecimal; empty means not given.
type Color string

// NRGBA gives the four channels, alpha not multiplied in. A colour that is
// empty or not valid is wholly transparent black.
func (c Color) NRGBA() (r, g, b, a uint8) {
	s, ok := strings.CutPrefix(string(c), "#")
	v, err := hex.DecodeString(s)
	switch {
	case !ok || err != nil:
		return 0, 0, 0, 0
	case len(v) == 3:
		return v[0], v[1], v[2], 255
	case len(v) == 4:
		return v[0], v[1], v[2], v[3]
	}
	return 0, 0, 0, 0
}

// validate checks an optional colour.
func (c Color) validate(path string) *Error {
	s, ok := strings.CutPrefix(string(c), "#")
	_, err := hex.DecodeString(s)
	if c == "" || ok && err == nil && (len(s) == 6 || len(s) == 8) {
		return nil
	}
	return wrong(path, "is %.32q; allowed is #rrggbb or #rrggbbaa", string(c))
}

// opaque checks a colour that must be there and have no transparency.
func (c Color) opaque(path string) *Error {
	if err := c.validate(path); err != nil {
		return err
	}
	if _, _, _, a := c.NRGBA(); c == "" || a != 255 {
		return wrong(path, "is %.32q; allowed is #rrggbb, without transparency", string(c))
	}
	return nil
}

// oneOf refuses a value that is not in the list. An empty one that is allowed
// is not named in the message.
func oneOf[T ~string](path string, v T, allowed ...T) *Error {
	names := make([]string, 0, len(allowed))
	for _, a := range allowed {
		if v == a {
			return nil
		}
		if a != "" {
			names = append(names, string(a))
		}
	}
	return wrong(path, "is %.64q; allowed is %s", string(v), strings.Join(names, ", "))
}

// inRange refuses a number outside lo to hi, and one that is not a number.
func inRange(path string, v, lo, hi float64) *Error {
	if v >= lo && v <= hi {
		return nil
	}
	return wrong(path, "is %g; allowed is %g to %g", v, lo, hi)
}
