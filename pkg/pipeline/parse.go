package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// limits are how much a document may hold.
type limits struct{ bytes, renditions int }

// What is written by people, and what Expand may have made of it.
var (
	byHand   = limits{MaxDocument, MaxRenditions}
	expanded = limits{16 * MaxDocument, setSize * MaxRenditions}
)

// Parse reads a JSON document and checks it completely. The result carries the
// defaults that were left out: version 1, the name "default" of a single
// rendition, fit "contain" and the like. With them written out it still fits
// into MaxDocument. The error is an *Error with the path of the first wrong field.
func Parse(document []byte) (Pipeline, error) {
	p, err := read(document, byHand)
	if err == nil {
		err = p.ownNames()
	}
	if err == nil {
		err = p.fits(len(document))
	}
	if err != nil {
		return Pipeline{}, err
	}
	return p, nil
}

// growth is more than what a document grows by when it is made canonical.
const growth = 8

// fits refuses a document that is too large in its canonical form, in which
// others are to read it. size is that of the document as it was written.
func (p Pipeline) fits(size int) *Error {
	if growth*size <= MaxDocument {
		return nil
	}
	b, err := json.Marshal(p)
	if err != nil {
		return wrong("", "the document cannot be written out: %v", err)
	}
	if len(b) > MaxDocument {
		return wrong("", "the document has %d bytes when its defaults are written out; at most %d are allowed", len(b), MaxDocument)
	}
	return nil
}

// read parses and validates.
func read(document []byte, most limits) (Pipeline, *Error) {
	p, err := parse(document, most)
	if err == nil {
		err = p.validate()
	}
	p.Describe = inOrder(p.Describe)
	return p, err
}

func parse(document []byte, most limits) (Pipeline, *Error) {
	if len(document) > most.bytes {
		return Pipeline{}, wrong("", "the document has %d bytes; at most %d are allowed", len(document), most.bytes)
	}
	var whole json.RawMessage
	if err := json.Unmarshal(document, &whole); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return Pipeline{}, wrong("", "the document is not JSON: %s (after byte %d)", syntax, syntax.Offset)
		}
		return Pipeline{}, wrong("", "the document is not JSON")
	}
	f := readObject("", whole)
	p := Pipeline{Version: 1}
	if v, ok := f.integer("version"); ok {
		p.Version = v
		if v != 1 {
			f.fail("version", "is %d; the only version is 1", v)
		}
	}
	for i, raw := range f.list("describe", len(facets)) {
		var facet Facet
		if raw[0] != '"' || json.Unmarshal(raw, &facet) != nil {
			f.fail(fmt.Sprintf("describe[%d]", i), "must be a string, not %s", clip(string(raw)))
		}
		p.Describe = append(p.Describe, facet)
	}
	renditions := f.list("renditions", most.renditions)
	for i, raw := range renditions {
		r, err := parseRendition(fmt.Sprintf("renditions[%d]", i), raw, len(renditions) == 1)
		if err != nil {
			return Pipeline{}, err
		}
		p.Renditions = append(p.Renditions, r)
	}
	return p, f.done()
}

// inOrder gives facets in the order of a document.
func inOrder(list []Facet) []Facet {
	var out []Facet
	for _, f := range facets {
		if slices.Contains(list, f) {
			out = append(out, f)
		}
	}
	return out
}
