package pipeline

// Rendition is one picture to be made.
type Rendition struct {
	// Name is 1 to 32 characters of a-z, 0-9, "_" and "-", not starting with
	// "_" or "-", and unique in the pipeline. Expand makes names that end in a
	// dot and a format, which Parse refuses.
	Name string
	// KeepOrientation leaves the picture as it is stored. Without it, it is set
	// upright by its EXIF orientation before the first operation. In JSON and in
	// the query this is written autoOrient=false.
	KeepOrientation bool
	// Frame is which frame of an animation, or page of a document, is taken: 0,
	// the first, to MaxFrame. One that is not there fails the image.
	Frame int
	// Animated keeps all frames where the result's format can (GIF, WebP).
	Animated bool
	// FocalPoint is where gravity Focus points.
	FocalPoint *Focal
	// Operations are carried out in this order; none is allowed.
	Operations []Operation
	// Format of the result.
	Format Format
	// Background lies under transparent parts when the format has no
	// transparency; empty stands for white.
	Background Color

	// Quality of a lossy result (JPEG, WebP, AVIF, JPEG XL), 1 to 100; 0 stands
	// for DefaultQuality. Formats that are lossless ignore it.
	Quality int
	// TargetSSIM asks for the smallest quality at which the structural
	// similarity to the picture before encoding reaches it, 0.8 to 0.999; 0 when
	// not asked. In JSON it is "quality":"auto", which stands for DefaultSSIM,
	// or "quality":{"ssim":0.95}.
	TargetSSIM float64
	// MaxBytes is the largest file, MinBytes to the constant MaxBytes; 0 for any.
	// Quality is lowered until the file fits. One that does not fit at quality 1,
	// or has no quality to lower, fails the image for good.
	MaxBytes int64
	// Effort is how much time to spend on a smaller file, 1 to 9; 0 stands for
	// the engine's choice. It means something else in each format.
	Effort int
	// Progressive writes a JPEG that appears coarse first.
	Progressive bool
	// Chroma is how finely a JPEG or AVIF keeps colours.
	Chroma Chroma
	// Lossless writes a WebP, AVIF or JPEG XL without loss.
	Lossless bool
	// Colors is the size of the palette of a PNG or GIF, 2 to 256; 0 for a PNG in
	// true colour and a GIF of 256.
	Colors int
	// Metadata is what of the original's metadata the result keeps.
	Metadata Metadata
	// Profile is the colour space of the result.
	Profile Profile
}

// Focal is a point of a picture in fractions of its width and height, 0 to 1
// from the top left. In a document it is a point of the picture as it enters
// the first operation, which is the upright original.
type Focal struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}
