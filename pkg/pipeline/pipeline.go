package pipeline

import "fmt"

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
	// MaxText is the longest text that can be written on a picture, in runes.
	MaxText = 500
	// MaxFrame is the largest number of a frame.
	MaxFrame = 9999
	// MinBytes is the smallest size that a file may be held to.
	MinBytes = 1000
	// MaxBytes is the largest size that a file may be held to.
	MaxBytes = 1 << 30
	// DefaultQuality is used where a rendition leaves its quality out.
	DefaultQuality = 85
	// DefaultSSIM is the likeness that quality "auto" asks for.
	DefaultSSIM = 0.98
	// DefaultName is the name of a single rendition that has none.
	DefaultName = "default"
)

// Pipeline is the whole document. The zero value is "no pipeline": it is not
// valid, and stands in JSON as null.
type Pipeline struct {
	// Version is the version of the document's form; 0 stands for 1, the only one.
	Version int
	// Describe lists what is to be told of the original beside its size and
	// format, which always are.
	Describe []Facet
	// Renditions are what is to be made of one original: 1 to MaxRenditions.
	Renditions []Rendition
}

// Empty reports whether p is the zero value: no pipeline at all.
func (p Pipeline) Empty() bool {
	return p.Version == 0 && len(p.Renditions) == 0 && len(p.Describe) == 0
}

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

// Validate checks everything that Parse checks, for pipelines made in Go, but
// that it takes what Expand makes. The error is an *Error.
func (p Pipeline) Validate() error { return asError(p.validate()) }

func (p Pipeline) validate() *Error {
	if p.Version != 0 && p.Version != 1 {
		return wrong("version", "is %d; the only version is 1", p.Version)
	}
	if n := p.written(); len(p.Renditions) < 1 || n > MaxRenditions {
		return wrong("renditions", "there are %d; 1 to %d are allowed", n, MaxRenditions)
	}
	if err := validateFacets(p.Describe); err != nil {
		return err
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
