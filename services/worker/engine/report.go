package engine

import (
	"time"

	"imagemill/pkg/pipeline"
)

// Report is what Render made.
type Report struct {
	// Engine names the implementation: "imaging", "native".
	Engine string `json:"engine"`
	// Original is what the source turned out to be.
	Original Picture `json:"original"`
	// Renditions stand in the pipeline's order.
	Renditions []Rendition `json:"renditions"`
	// Facts are the by-products that Pipeline.Describe asks for; nil when it asks
	// for none.
	Facts *Facts `json:"facts,omitempty"`
	// Elapsed is the time that the engine itself took.
	Elapsed time.Duration `json:"elapsed"`
}

// Picture describes an original as it is stored. What a header does not say is
// the zero value.
type Picture struct {
	// Format is its lower-case name ("jpeg").
	Format string `json:"format"`
	// Width and Height in pixels, before the orientation is applied.
	Width  int `json:"width"`
	Height int `json:"height"`
	// Orientation is the EXIF orientation, 1 to 8; 1 when there is none.
	Orientation int `json:"orientation"`
	// Frames is the number of pictures in an animation, else 1.
	Frames int `json:"frames"`
	// Alpha says that pixels can be transparent.
	Alpha bool `json:"alpha,omitempty"`
	// Bands is the number of values of a pixel once it is decoded, alpha
	// included: 1 to 5; 0 when it is not known. A palette counts as its colours.
	Bands int `json:"bands,omitempty"`
	// Depth is the number of bits of one value: 1 to 32, mostly 8 or 16; 0 when
	// it is not known.
	Depth int `json:"depth,omitempty"`
	// Interlaced says that the picture is stored in several passes (progressive
	// JPEG, Adam7 PNG, interlaced GIF), so that it cannot be read row by row.
	Interlaced bool `json:"interlaced,omitempty"`
	// Chroma is how the colours of a JPEG are stored: one of the Chroma
	// constants, empty for anything else and for other formats.
	Chroma string `json:"chroma,omitempty"`
	// Profile is the colour space that the picture says it is in: one of the
	// Profile constants, empty when it says nothing.
	Profile string `json:"profile,omitempty"`
}

// The values of Picture.Chroma.
const (
	Chroma420  = "420"
	Chroma422  = "422"
	Chroma444  = "444"
	ChromaGray = "gray"
	ChromaCMYK = "cmyk"
)

// The values of Picture.Profile.
const (
	ProfileSRGB     = "srgb"
	ProfileP3       = "p3"
	ProfileAdobeRGB = "adobe-rgb"
	ProfileOther    = "other"
)

// Facts are by-products of an image: what can be told about it beside its
// renditions. A field that was not asked for, or that the picture does not
// have, is empty.
type Facts struct {
	// EXIF is the metadata of the original as text, by the names of the tags
	// ("Make", "ExposureTime"). It can hold the place where a picture was taken.
	EXIF map[string]string `json:"exif,omitempty"`
	// Colors are up to five colours that make up most of the picture, "#rrggbb",
	// the most common one first.
	Colors []string `json:"colors,omitempty"`
	// BlurHash is a short text from which a blurred preview can be drawn.
	BlurHash string `json:"blurhash,omitempty"`
	// PHash is the perceptual hash, 64 bits as 16 hexadecimal digits. Pictures
	// that look alike differ in few bits.
	PHash string `json:"phash,omitempty"`
}

// The values of Rendition.Path.
const (
	PathFast    = "fast"
	PathPlanes  = "planes" // decoded by libvips, and from there as on the fast path
	PathVips    = "vips"
	PathImaging = "imaging"
)

// Rendition is one finished file.
type Rendition struct {
	// Name is the rendition's name in the pipeline.
	Name string `json:"name"`
	// File is the path of the result in Job.Dir.
	File string `json:"file"`
	// Width and Height in pixels.
	Width  int `json:"width"`
	Height int `json:"height"`
	// Format is the format that was written; never pipeline.Same.
	Format pipeline.Format `json:"format"`
	// ContentType is its media type.
	ContentType string `json:"contentType"`
	// Bytes is the size of the file.
	Bytes int64 `json:"bytes"`
	// Path is the code that made it: one of the Path constants.
	Path string `json:"path,omitempty"`
}
