package header

import (
	"encoding/binary"
	"math"

	"imagemill/services/worker/engine"
)

// primaries are the red, green and blue colorants of known colour spaces, as
// profiles give them: XYZ, adapted to the white D50. Figures are those of the
// published profiles.
var primaries = []struct {
	name  string
	gamma float64 // the tone curve at one half
	xyz   [9]float64
}{
	{engine.ProfileSRGB, 0.2140, [9]float64{0.4361, 0.2225, 0.0139, 0.3851, 0.7169, 0.0971, 0.1431, 0.0606, 0.7141}},
	{engine.ProfileP3, 0.2140, [9]float64{0.5151, 0.2412, -0.0011, 0.2920, 0.6922, 0.0419, 0.1571, 0.0666, 0.7841}},
	{engine.ProfileAdobeRGB, 0.2178, [9]float64{0.6097, 0.3111, 0.0195, 0.2053, 0.6257, 0.0609, 0.1492, 0.0632, 0.7446}},
}

// How far a profile may be off and still count as a known one.
const (
	nearColor = 0.003
	nearCurve = 0.003
)

// maxTags bounds the tags of a profile that are looked at.
const maxTags = 100

// profileOf names the colour space of an ICC profile, of which the beginning is
// enough; empty when it is no profile. Profiles are told by their colorants and
// tone curves, never by their names, which anybody can write.
func profileOf(b []byte) string {
	if len(b) < 132 || string(b[36:40]) != "acsp" {
		return ""
	}
	switch string(b[16:20]) {
	case "RGB ":
		return rgbProfile(b)
	case "GRAY":
		if v, ok := curve(tag(b, "kTRC")); ok && math.Abs(v-primaries[0].gamma) < nearCurve {
			return engine.ProfileSRGB
		}
	}
	return engine.ProfileOther
}

func rgbProfile(b []byte) string {
	if tag(b, "A2B0") != nil {
		return engine.ProfileOther // tables win over colorants
	}
	var xyz [9]float64
	for i, name := range []string{"rXYZ", "gXYZ", "bXYZ"} {
		t := tag(b, name)
		if len(t) < 20 {
			return engine.ProfileOther
		}
		for j := range 3 {
			xyz[3*i+j] = fixed(t[8+4*j:])
		}
	}
	for _, p := range primaries {
		if near(xyz, p.xyz) && curves(b, p.gamma) {
			return p.name
		}
	}
	return engine.ProfileOther
}

func near(a, b [9]float64) bool {
	for i := range a {
		if math.Abs(a[i]-b[i]) > nearColor {
			return false
		}
	}
	return true
}

// curves reports whether all three tone curves give the value at one half.
func curves(b []byte, want float64) bool {
	for _, name := range []string{"rTRC", "gTRC", "bTRC"} {
		if v, ok := curve(tag(b, name)); !ok || math.Abs(v-want) > nearCurve {
			return false
		}
	}
	return true
}

// tag gives a tag's data as far as it is there; nil when it is not.
func tag(b []byte, name string) []byte {
	n := min(int(binary.BigEndian.Uint32(b[128:])), maxTags)
	for i := range n {
		row := 132 + 12*i
		if row+12 > len(b) {
			return nil
		}
		at, size := int64(binary.BigEndian.Uint32(b[row+4:])), int64(binary.BigEndian.Uint32(b[row+8:]))
		if string(b[row:row+4]) == name {
			if at > int64(len(b)) {
				return nil
			}
			return b[at:min(at+size, int64(len(b)))]
		}
	}
	return nil
}

// fixed reads a number with sixteen bits behind the point.
func fixed(b []byte) float64 {
	return float64(int32(binary.BigEndian.Uint32(b))) / 65536 //nolint:gosec // the field is signed
}

// curve is the value of a tone curve at one half.
func curve(t []byte) (float64, bool) {
	if len(t) < 12 {
		return 0, false
	}
	switch string(t[:4]) {
	case "curv":
		n := int64(binary.BigEndian.Uint32(t[8:]))
		switch {
		case n == 0:
			return 0.5, true
		case n == 1 && len(t) >= 14:
			return math.Pow(0.5, float64(binary.BigEndian.Uint16(t[12:]))/256), true
		case n > 1 && int64(len(t)) >= 12+2*n:
			low, high := t[12+2*((n-1)/2):], t[12+2*(n/2):]
			return (float64(binary.BigEndian.Uint16(low)) + float64(binary.BigEndian.Uint16(high))) / 2 / 65535, true
		}
	case "para":
		return parametric(t)
	}
	return 0, false
}

// parametric evaluates the formulas of which sRGB's is one: the upper part, in
// which one half lies.
func parametric(t []byte) (float64, bool) {
	kind := binary.BigEndian.Uint16(t[8:])
	need := map[uint16]int{0: 1, 1: 3, 2: 4, 3: 5, 4: 7}[kind]
	if need == 0 || len(t) < 12+4*need {
		return 0, false
	}
	p := [7]float64{1, 1, 0, 0, 0, 0, 0} // g a b c d e f
	for i := range need {
		p[i] = fixed(t[12+4*i:])
	}
	v := math.Pow(math.Max(p[1]*0.5+p[2], 0), p[0])
	if kind == 2 {
		v += p[3]
	}
	return v + p[5], !math.IsNaN(v) && !math.IsInf(v, 0)
}
