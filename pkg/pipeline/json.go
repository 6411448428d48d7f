package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Parse reads a JSON document and checks it completely. The result carries the
// defaults that were left out: version 1, the name "default" of a single
// rendition, fit "contain". The error is an *Error with the path of the first
// wrong field.
func Parse(document []byte) (Pipeline, error) {
	p, err := read(document)
	if err == nil {
		err = p.ownNames()
	}
	if err != nil {
		return Pipeline{}, err
	}
	return p, nil
}

// read parses and validates.
func read(document []byte) (Pipeline, *Error) {
	p, err := parse(document)
	if err == nil {
		err = p.validate()
	}
	p.Describe = inOrder(p.Describe)
	return p, err
}

// UnmarshalJSON is Parse, so that a pipeline inside another document is held
// to the same rules, but that it takes what Expand makes. null leaves p as it is.
func (p *Pipeline) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	parsed, err := read(b)
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}

func parse(document []byte) (Pipeline, *Error) {
	if len(document) > MaxDocument {
		return Pipeline{}, wrong("", "the document has %d bytes; at most %d are allowed", len(document), MaxDocument)
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
	renditions := f.list("renditions", setSize*MaxRenditions)
	for i, raw := range renditions {
		r, err := parseRendition(fmt.Sprintf("renditions[%d]", i), raw, len(renditions) == 1)
		if err != nil {
			return Pipeline{}, err
		}
		p.Renditions = append(p.Renditions, r)
	}
	return p, f.done()
}

// MarshalJSON gives the canonical form: fixed order of fields, defaults left
// out but for version, name and fit. An invalid pipeline is refused; the empty
// one is null.
func (p Pipeline) MarshalJSON() ([]byte, error) {
	if p.Empty() {
		return []byte("null"), nil
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Version    int         `json:"version"`
		Describe   []Facet     `json:"describe,omitempty"`
		Renditions []Rendition `json:"renditions"`
	}{1, inOrder(p.Describe), p.Renditions})
}

// marshalOperation writes the discriminator in front of the operation's own fields.
func marshalOperation(op Operation) (json.RawMessage, error) {
	b, err := json.Marshal(normal(op))
	if err != nil {
		return nil, err
	}
	head := []byte(`{"op":"` + op.Op() + `"`)
	if string(b) != "{}" {
		head = append(head, ',')
	}
	return append(head, bytes.TrimPrefix(b, []byte("{"))...), nil
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
