package enginetest

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"golang.org/x/image/draw"
)

// lab is a colour in CIE L*a*b* under D65.
type lab struct{ l, a, b float64 }

// labOf gives the colour that three bytes of sRGB mean.
func labOf(c color.NRGBA) lab {
	light := func(v uint8) float64 {
		f := float64(v) / 255
		if f <= 0.04045 {
			return f / 12.92
		}
		return math.Pow((f+0.055)/1.055, 2.4)
	}
	r, g, b := light(c.R), light(c.G), light(c.B)
	root := func(v float64) float64 {
		if v > 216./24389 {
			return math.Cbrt(v)
		}
		return (24389./27*v + 16) / 116
	}
	x := root((0.4124564*r + 0.3575761*g + 0.1804375*b) / 0.95047)
	y := root(0.2126729*r + 0.7151522*g + 0.0721750*b)
	z := root((0.0193339*r + 0.1191920*g + 0.9503041*b) / 1.08883)
	return lab{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

// deltaE is the difference of two colours as the eye sees it: CIEDE2000, after
// Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula" (2005), with
// all weights 1. Of 1 the eye can just tell two patches apart.
func deltaE(p, q lab) float64 {
	const seven = 6103515625 // 25 to the power of 7
	sin := func(degrees float64) float64 { return math.Sin(degrees * math.Pi / 180) }
	cos := func(degrees float64) float64 { return sin(degrees + 90) }
	c7 := math.Pow((math.Hypot(p.a, p.b)+math.Hypot(q.a, q.b))/2, 7)
	g := 1 + (1-math.Sqrt(c7/(c7+seven)))/2
	polar := func(v lab) (c, h float64) {
		a := v.a * g
		if h = math.Atan2(v.b, a) * 180 / math.Pi; h < 0 {
			h += 360
		}
		return math.Hypot(a, v.b), h
	}
	c1, h1 := polar(p)
	c2, h2 := polar(q)
	dh, h := h2-h1, (h1+h2)/2
	switch {
	case c1*c2 == 0:
		dh, h = 0, h1+h2
	case dh > 180:
		dh -= 360
		h = math.Mod(h+180, 360)
	case dh < -180:
		dh += 360
		h = math.Mod(h+180, 360)
	}
	l, c := (p.l+q.l)/2, (c1+c2)/2
	dL, dC, dH := q.l-p.l, c2-c1, 2*math.Sqrt(c1*c2)*sin(dh/2)
	t := 1 - 0.17*cos(h-30) + 0.24*cos(2*h) + 0.32*cos(3*h+6) - 0.20*cos(4*h-63)
	c7 = math.Pow(c, 7)
	turn := -2 * math.Sqrt(c7/(c7+seven)) * sin(60*math.Exp(-(h-275)*(h-275)/625))
	dL /= 1 + 0.015*(l-50)*(l-50)/math.Sqrt(20+(l-50)*(l-50))
	dC /= 1 + 0.045*c
	dH /= 1 + 0.015*c*t
	return math.Sqrt(dL*dL + dC*dC + dH*dH + turn*dC*dH)
}

// deltas tells how far two pictures of one size are apart: the mean of deltaE
// over all pixels, and what 99 of 100 pixels stay below. Transparent parts count
// as laid over grey.
func deltas(a, b image.Image) (mean, most float64, err error) {
	if a.Bounds().Size() != b.Bounds().Size() {
		return 0, 0, fmt.Errorf("compare colours of %v and %v pixels: they must be of one size", a.Bounds().Size(), b.Bounds().Size())
	}
	p, q := onGrey(a), onGrey(b)
	all := make([]float64, 0, len(p.Pix)/4)
	for i := 0; i < len(p.Pix); i += 4 {
		d := deltaE(labOf(color.NRGBA{R: p.Pix[i], G: p.Pix[i+1], B: p.Pix[i+2]}), labOf(color.NRGBA{R: q.Pix[i], G: q.Pix[i+1], B: q.Pix[i+2]}))
		all = append(all, d)
		mean += d
	}
	slices.Sort(all)
	return mean / float64(len(all)), all[len(all)*99/100], nil
}

// onGrey lays a picture over grey.
func onGrey(m image.Image) *image.RGBA {
	out := image.NewRGBA(image.Rectangle{Max: m.Bounds().Size()})
	draw.Draw(out, out.Rect, image.NewUniform(color.Gray{Y: 128}), image.Point{}, draw.Src)
	draw.Draw(out, out.Rect, m, m.Bounds().Min, draw.Over)
	return out
}
