package pipeline

// Format is an output format.
type Format string

// The output formats. Which of them can be written is the engine's matter.
const (
	// Same is the original's own format where that can be written; otherwise PNG
	// for a picture with transparency and JPEG for the rest.
	Same Format = ""
	// Auto makes a set of files of which each request gets the one that suits
	// its Accept header: Expand turns it into one rendition each. An engine that
	// is given Auto itself writes what everyone can show: GIF for an animation
	// that is kept, PNG for a picture with transparency, JPEG for the rest.
	Auto Format = "auto"
	JPEG Format = "jpeg"
	PNG  Format = "png"
	GIF  Format = "gif"
	WebP Format = "webp"
	AVIF Format = "avif"
	TIFF Format = "tiff"
	JXL  Format = "jxl"
)

// Chroma is how finely colours are kept beside lightness; empty is the format's
// usual way.
type Chroma string

// The samplings of chroma.
const (
	// Chroma420 keeps one colour for four pixels.
	Chroma420 Chroma = "420"
	// Chroma444 keeps the colour of each pixel.
	Chroma444 Chroma = "444"
)

// Metadata says what of the original's metadata a result keeps. Embedded
// thumbnails and the orientation, which is applied, are never kept.
type Metadata string

// What can be kept.
const (
	// Strip keeps nothing.
	Strip Metadata = ""
	// Copyright keeps who made the picture and whose it is.
	Copyright Metadata = "copyright"
	// Keep keeps the rest too, such as camera, time and exposure; never places,
	// serial numbers, identities and makers' notes.
	Keep Metadata = "keep"
)

// Profile is the colour space of a result.
type Profile string

// The colour spaces.
const (
	// SRGB is what every screen understands.
	SRGB Profile = ""
	// P3 is Display P3, wider than sRGB; its profile is embedded.
	P3 Profile = "p3"
	// KeepProfile leaves the colours as they are and embeds the original's profile.
	KeepProfile Profile = "keep"
)

// Facet is something that can be told of an original.
type Facet string

// The facets, in the order in which a document lists them.
const (
	// EXIF is the metadata of the camera as data.
	EXIF Facet = "exif"
	// Colors are the most common colours.
	Colors Facet = "colors"
	// BlurHash is a few bytes that paint a blurred preview.
	BlurHash Facet = "blurhash"
	// PHash is a hash that is alike for pictures that look alike.
	PHash Facet = "phash"
)
