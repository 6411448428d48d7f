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

// Watermark lays another picture over this one.
type Watermark struct {
	// Image is the ID of a finished image: 1 to 64 letters, digits and "-".
	Image string `json:"image"`
	// Rendition of that image; its first when empty.
	Rendition string `json:"rendition,omitempty"`
	// Gravity is where it lies, one of the nine places; Center when empty.
	Gravity Gravity `json:"gravity,omitempty"`
	// X and Y are the distance in pixels from the edges that Gravity names, or
	// from the middle to the right and down, -MaxSide to MaxSide. With Tile they
	// are the gaps between copies, 0 to MaxSide.
	X int `json:"x,omitempty"`
	Y int `json:"y,omitempty"`
	// Tile repeats it all over, from the top left.
	Tile bool `json:"tile,omitempty"`
	// Opacity from 0.01 to 1, which a document may leave out.
	Opacity float64 `json:"opacity"`
	// Scale brings it to a share of this picture's width, 0.01 to 1; 0 leaves
	// it as large as it is.
	Scale float64 `json:"scale,omitempty"`
}

// Text writes over the picture, in Go Regular.
type Text struct {
	// Text is 1 to MaxText runes; "\n" begins a new line.
	Text string `json:"text"`
	// Size in pixels of the font, 4 to 1000; 32 where a document leaves it out.
	Size float64 `json:"size"`
	// Color of the letters; black where a document leaves it out.
	Color Color `json:"color"`
	// Gravity is where it lies, one of the nine places; Center when empty.
	Gravity Gravity `json:"gravity,omitempty"`
	// X and Y are as in Watermark.
	X int `json:"x,omitempty"`
	Y int `json:"y,omitempty"`
	// Opacity from 0.01 to 1, which a document may leave out.
	Opacity float64 `json:"opacity"`
}

// Asset is a picture that a pipeline needs beside the original.
type Asset struct {
	// Image is its ID, Rendition one of its renditions; the first when empty.
	Image, Rendition string
}

// Key is "ID/rendition", with nothing behind the slash for the first one.
func (a Asset) Key() string { return a.Image + "/" + a.Rendition }

// Asset is what the watermark needs.
func (o Watermark) Asset() Asset { return Asset{o.Image, o.Rendition} }

// Assets lists what all watermarks of a pipeline need, each once, in the order
// in which they are first named.
func (p Pipeline) Assets() []Asset {
	var all []Asset
	seen := map[Asset]bool{}
	for _, r := range p.Renditions {
		for _, op := range r.Operations {
			if o, ok := op.(Watermark); ok && !seen[o.Asset()] {
				seen[o.Asset()] = true
				all = append(all, o.Asset())
			}
		}
	}
	return all
}
