package pipeline

import (
	"bytes"
	"encoding/json"
)

// UnmarshalJSON is Parse, so that a pipeline inside another document is held
// to the same rules, but that it takes what Expand makes. null leaves p as it is.
func (p *Pipeline) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	parsed, err := read(b, expanded)
	if err != nil {
		return err
	}
	*p = parsed
	return nil
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
