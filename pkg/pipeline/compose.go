package pipeline

// What these operations leave out in a document, Parse writes out; in Go every
// field means what it says.

// Trim cuts off a border in one colour. A picture that is all border stays as
// it is. The size of the result is known only from the pixels.
type Trim struct {
	// Threshold is how far a channel may differ from the border's colour, 0 to
	// 255; 10 where a document leaves it out.
	Threshold int `json:"threshold"`
	// Background is the colour of the border; that of the top left pixel when empty.
	Background Color `json:"background,omitempty"`
}

// Extend adds a border.
type Extend struct {
	// Top, Right, Bottom and Left in pixels, 0 to MaxSide, not all 0.
	Top    int `json:"top,omitempty"`
	Right  int `json:"right,omitempty"`
	Bottom int `json:"bottom,omitempty"`
	Left   int `json:"left,omitempty"`
	// Background is the border's colour; transparent when empty.
	Background Color `json:"background,omitempty"`
}

// Pixelate shows the picture as squares of one colour, from the top left.
type Pixelate struct {
	// Size of a square in pixels, 2 to 1000.
	Size int `json:"size"`
}

// Sepia browns a picture as if it were old.
type Sepia struct {
	// Percent from 0 (as it is) to 100, which a document may leave out.
	Percent float64 `json:"percent"`
}

// Tint shows the picture's luminance in shades of one colour.
type Tint struct {
	// Color is what white becomes; it has no transparency.
	Color Color `json:"color"`
}

// Channel is one of the four that a pixel has.
type Channel string

// The channels.
const (
	Red   Channel = "red"
	Green Channel = "green"
	Blue  Channel = "blue"
	Alpha Channel = "alpha"
)

// ExtractChannel shows one channel as opaque grey.
type ExtractChannel struct {
	Channel Channel `json:"channel"`
}

// RoundCorners makes the corners transparent beyond a quarter of a circle. A
// radius of more than half of the shorter side counts as that half.
type RoundCorners struct {
	// Radius in pixels, 1 to 8192; or Percent.
	Radius int `json:"radius,omitempty"`
	// Percent of the shorter side, 0.1 to 50; or Radius.
	Percent float64 `json:"percent,omitempty"`
}

// Flatten lays a colour under the picture, which is then opaque.
type Flatten struct {
	// Background has no transparency; white where a document leaves it out.
	Background Color `json:"background"`
}
