package pipeline

import (
	"fmt"
	"regexp"
)

// Limits of a document. They bound what a document may ask, not what an engine
// may be given; engines have limits of their own.
const (
	// MaxDocument is the size of a JSON document in bytes.
	MaxDocument = 64 << 10
	// MaxRenditions is the number of renditions in one pipeline.
	MaxRenditions = 32
	// MaxOperations is the number of operations in one rendition.
	MaxOperations = 32
	// MaxSide is the largest width or height that may be asked for, in pixels.
	MaxSide = 16384
	// MaxOffset is the largest x or y of a crop, in pixels.
	MaxOffset = 100_000
	// DefaultQuality is used where a rendition leaves its quality out.
	DefaultQuality = 85
	// DefaultName is the name of a single rendition that has none.
	DefaultName = "default"
)

// Format is an output format.
type Format string

// The output formats. Same is the original's own format where that can be
// written; otherwise PNG for a picture with transparency and JPEG for the rest.
const (
	Same Format = ""
	JPEG Format = "jpeg"
	PNG  Format = "png"
	GIF  Format = "gif"
)

// Pipeline is the whole document. The zero value is "no pipeline": it is not
// valid, and stands in JSON as null.
type Pipeline struct {
	// Version is the version of the document's form; 0 stands for 1, the only one.
	Version int
	// Renditions are what is to be made of one original: 1 to MaxRenditions.
	Renditions []Rendition
}

// Rendition is one picture to be made.
type Rendition struct {
	// Name is 1 to 32 characters of a-z, 0-9, "_" and "-", not starting with
	// "_" or "-", and unique in the pipeline.
	Name string
	// KeepOrientation leaves the picture as it is stored. Without it, it is set
	// upright by its EXIF orientation before the first operation. In JSON and in
	// the query this is written autoOrient=false.
	KeepOrientation bool
	// Operations are carried out in this order; none is allowed.
	Operations []Operation
	// Format of the result.
	Format Format
	// Quality of a JPEG, 1 to 100; 0 stands for DefaultQuality. Other formats
	// are lossless and ignore it.
	Quality int
	// Background lies under transparent parts when the format has no
	// transparency; empty stands for white.
	Background Color
}

// Empty reports whether p is the zero value: no pipeline at all.
func (p Pipeline) Empty() bool { return p.Version == 0 && len(p.Renditions) == 0 }

// Error says where a pipeline is wrong. It is the only type of error that
// this package returns.
type Error struct {
	// Path of the wrong field, like "renditions[0].operations[1].width", or the
	// name of a query parameter; empty when the document as a whole is wrong.
	Path string
	// Message says what is wrong and what is allowed.
	Message string
}

// Error gives path and message.
func (e *Error) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// wrong makes an Error.
func wrong(path, format string, args ...any) *Error {
	return &Error{Path: path, Message: fmt.Sprintf(format, args...)}
}

// below puts a path in front of the error's own. It keeps nil.
func (e *Error) below(path string) *Error {
	if e == nil {
		return nil
	}
	return &Error{Path: join(path, e.Path), Message: e.Message}
}

// join appends a field's name to the path of its object.
func join(path, name string) string {
	if path == "" || name == "" {
		return path + name
	}
	return path + "." + name
}

// asError turns a possibly nil *Error into an error that is nil when it is.
func asError(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}

// namePattern is compiled once; a Regexp is safe for concurrent use.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// Validate checks everything that Parse checks, for pipelines made in Go. The
// error is an *Error.
func (p Pipeline) Validate() error { return asError(p.validate()) }

func (p Pipeline) validate() *Error {
	if p.Version != 0 && p.Version != 1 {
		return wrong("version", "is %d; the only version is 1", p.Version)
	}
	if n := len(p.Renditions); n < 1 || n > MaxRenditions {
		return wrong("renditions", "there are %d; 1 to %d are allowed", n, MaxRenditions)
	}
	first := make(map[string]int, len(p.Renditions))
	for i, r := range p.Renditions {
		path := fmt.Sprintf("renditions[%d]", i)
		if err := r.validate(); err != nil {
			return err.below(path)
		}
		if j, ok := first[r.Name]; ok {
			return wrong(path+".name", "%q is already the name of renditions[%d]; names are unique", r.Name, j)
		}
		first[r.Name] = i
	}
	return nil
}

func (r Rendition) validate() *Error {
	switch {
	case r.Name == "":
		return wrong("name", "is missing; only a single rendition may leave it out")
	case !namePattern.MatchString(r.Name):
		return wrong("name", "is %.64q; allowed are 1 to 32 characters of a-z, 0-9, _ and -, starting with a letter or digit", r.Name)
	case len(r.Operations) > MaxOperations:
		return wrong("operations", "there are %d; at most %d are allowed", len(r.Operations), MaxOperations)
	case r.Quality < 0 || r.Quality > 100:
		return wrong("quality", "is %d; allowed is 1 to 100", r.Quality)
	}
	if err := oneOf("format", r.Format, Same, JPEG, PNG, GIF); err != nil {
		return err
	}
	if err := r.Background.validate("background"); err != nil {
		return err
	}
	for i, op := range r.Operations {
		path := fmt.Sprintf("operations[%d]", i)
		if op == nil {
			return wrong(path, "is missing")
		}
		if err := op.validate(); err != nil {
			return err.below(path)
		}
	}
	return nil
}
