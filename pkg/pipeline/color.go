package pipeline

import (
	"encoding/hex"
	"strings"
)

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
