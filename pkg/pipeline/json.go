package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Parse reads a JSON document and checks it completely. The result carries the
// defaults that were left out: version 1, the name "default" of a single
// rendition, fit "contain". The error is an *Error with the path of the first
// wrong field.
func Parse(document []byte) (Pipeline, error) {
	p, err := parse(document)
	if err == nil {
		err = p.validate()
	}
	if err != nil {
		return Pipeline{}, err
	}
	return p, nil
}

// UnmarshalJSON is Parse, so that a pipeline inside another document is held
// to the same rules. null leaves p as it is.
func (p *Pipeline) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	parsed, err := Parse(b)
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
	renditions := f.list("renditions", MaxRenditions)
	for i, raw := range renditions {
		r, err := parseRendition(fmt.Sprintf("renditions[%d]", i), raw, len(renditions) == 1)
		if err != nil {
			return Pipeline{}, err
		}
		p.Renditions = append(p.Renditions, r)
	}
	return p, f.done()
}

func parseRendition(path string, raw json.RawMessage, single bool) (Rendition, *Error) {
	f := readObject(path, raw)
	r := Rendition{
		Name: f.text("name"), Format: Format(f.text("format")), Background: lower(f.text("background")),
	}
	if _, given := f.raw["name"]; !given && single {
		r.Name = DefaultName
	}
	if upright, ok := f.flag("autoOrient"); ok {
		r.KeepOrientation = !upright
	}
	if q, ok := f.integer("quality"); ok {
		r.Quality = q
		if q == 0 {
			f.fail("quality", "is 0; allowed is 1 to 100")
		}
	}
	for i, op := range f.list("operations", MaxOperations) {
		o, err := parseOperation(fmt.Sprintf("%s.operations[%d]", path, i), op)
		if err != nil {
			return r, err
		}
		r.Operations = append(r.Operations, o)
	}
	return r, f.done()
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
		Renditions []Rendition `json:"renditions"`
	}{1, p.Renditions})
}

// MarshalJSON gives the canonical form of one rendition.
func (r Rendition) MarshalJSON() ([]byte, error) {
	doc := struct {
		Name       string            `json:"name"`
		AutoOrient *bool             `json:"autoOrient,omitempty"`
		Operations []json.RawMessage `json:"operations,omitempty"`
		Format     Format            `json:"format,omitempty"`
		Quality    int               `json:"quality,omitempty"`
		Background Color             `json:"background,omitempty"`
	}{Name: r.Name, Format: r.Format, Quality: r.Quality, Background: lower(string(r.Background))}
	if r.KeepOrientation {
		doc.AutoOrient = new(bool)
	}
	for _, op := range r.Operations {
		b, err := marshalOperation(op)
		if err != nil {
			return nil, fmt.Errorf("marshal operation %s: %w", op.Op(), err)
		}
		doc.Operations = append(doc.Operations, b)
	}
	return json.Marshal(doc)
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
