package pipeline

// Operation is one step of a rendition: one of the types in this file, held by
// value. The set is closed; an engine switches over it.
type Operation interface {
	// Op is the operation's name, its "op" in JSON.
	Op() string

	// validate refuses wrong fields; the path of its error is the field's name.
	validate() *Error
	// size gives the size of the result for a picture of w×h, both at least 1.
	// It fails when the operation makes no sense for that size.
	size(w, h int64) (int64, int64, *Error)
}

// Resize brings a picture to another size.
type Resize struct {
	// Width and Height in pixels, 1 to MaxSide; 0 or left out: it follows from
	// the other one, which only Contain allows.
	Width  int `json:"width,omitempty"`
	Height int `json:"height,omitempty"`
	// Percent of both sides, 0.1 to 1000, instead of Width and Height.
	Percent float64 `json:"percent,omitempty"`
	// Megapixels is the area in millions of pixels, 0.001 to 100, which the
	// result comes near to from below, instead of Width and Height.
	Megapixels float64 `json:"megapixels,omitempty"`
	// DPR multiplies Width and Height for screens with that many pixels to a
	// point, 1 to 8; 0 stands for 1. The products are at most MaxSide.
	DPR float64 `json:"dpr,omitempty"`
	// Fit is Contain when empty.
	Fit Fit `json:"fit,omitempty"`
	// NoEnlarge never scales up. A small picture then stays smaller than asked,
	// except that Pad still fills up to the whole size.
	NoEnlarge bool `json:"noEnlarge,omitempty"`
	// Gravity is where Cover and Pad hold the picture. Attention, Entropy and
	// Focus are for Cover only.
	Gravity Gravity `json:"gravity,omitempty"`
	// Background is what Pad fills with; transparent when empty.
	Background Color `json:"background,omitempty"`
}

// Crop cuts a rectangle out. It is clipped to the picture; one that lies wholly
// outside fails the image.
type Crop struct {
	// Width and Height in pixels, 1 to MaxSide.
	Width  int `json:"width"`
	Height int `json:"height"`
	// Gravity is where to cut, when X and Y are not given.
	Gravity Gravity `json:"gravity,omitempty"`
	// X and Y are the top left corner, 0 to MaxOffset: both or neither.
	X *int `json:"x,omitempty"`
	Y *int `json:"y,omitempty"`
}

// Rotate turns a picture clockwise. Multiples of 90 only move pixels; other
// angles make the picture larger, so that nothing is cut off.
type Rotate struct {
	// Angle in degrees, -360 to 360.
	Angle float64 `json:"angle"`
	// Background fills the new corners; transparent when empty.
	Background Color `json:"background,omitempty"`
}

// Flip mirrors a picture: left to right, top to bottom, or both.
type Flip struct {
	Horizontal bool `json:"horizontal,omitempty"`
	Vertical   bool `json:"vertical,omitempty"`
}

// Blur softens by a Gaussian.
type Blur struct {
	// Sigma in pixels, 0.1 to 100.
	Sigma float64 `json:"sigma"`
}

// Sharpen is an unsharp mask.
type Sharpen struct {
	// Sigma in pixels, 0.1 to 100.
	Sigma float64 `json:"sigma"`
}

// Grayscale takes the colour away.
type Grayscale struct{}

// Brightness lightens or darkens.
type Brightness struct {
	// Percent from -100 (black) to 100 (white).
	Percent float64 `json:"percent"`
}

// Contrast spreads or squeezes the tones.
type Contrast struct {
	// Percent from -100 (all grey) to 100.
	Percent float64 `json:"percent"`
}

// Gamma bends the tones.
type Gamma struct {
	// Value from 0.1 to 10; below 1 darkens, above 1 lightens.
	Value float64 `json:"value"`
}

// Saturation strengthens or weakens the colours.
type Saturation struct {
	// Percent from -100 (grey) to 100.
	Percent float64 `json:"percent"`
}

// Hue turns the colours around the wheel (the H of HSL).
type Hue struct {
	// Degrees from -360 to 360.
	Degrees float64 `json:"degrees"`
}

// Invert makes the negative; transparency stays.
type Invert struct{}

// SwapRedBlue exchanges the red and the blue channel.
type SwapRedBlue struct{}
