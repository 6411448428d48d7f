package settings

import (
	"slices"

	"imagemill/pkg/discovery"
)

// What became of one name in a document.
const (
	isSame = iota
	isSet
	isUnset
	isRefused
)

// outcome is what became of one name in a document.
type outcome struct {
	what  int
	name  string
	entry discovery.Entry
	err   error // why it was refused
}

func anyChanged(all []outcome) bool {
	return slices.ContainsFunc(all, func(o outcome) bool { return o.what == isSet || o.what == isUnset })
}

// slot is one name: the shared value in effect, and what was refused since.
type slot[T any] struct {
	name    string
	set     bool // else the configured value counts
	value   T
	entry   discovery.Entry
	refused *Refusal
}

// take compares the slot with the document and changes it.
func (s *slot[T]) take(def Definition[T], doc discovery.Document) outcome {
	e, there := doc[s.name]
	switch {
	case !there && !s.set:
		s.refused = nil
		return outcome{}
	case !there:
		*s = slot[T]{name: s.name}
		return outcome{what: isUnset, name: s.name}
	case s.set && s.entry.Value == e.Value:
		s.entry, s.refused = e, nil
		return outcome{}
	}
	value, err := def.parse(e.Value)
	if err == nil {
		s.set, s.value, s.entry, s.refused = true, value, e, nil
		return outcome{what: isSet, name: s.name, entry: e}
	}
	r := &Refusal{Value: clip(e.Value), Writer: e.Writer, Version: e.Version, Reason: err.Error()}
	if s.refused != nil && *s.refused == *r {
		return outcome{} // it has been said
	}
	s.refused = r
	return outcome{what: isRefused, name: s.name, entry: e, err: err}
}

// Where a value in effect comes from.
const (
	FromShared     = "shared setting"
	FromConfigured = "configuration"
)

// Shown is one setting as it is in effect.
type Shown struct {
	// Value is the one in effect, From where it comes from: FromShared or
	// FromConfigured.
	Value string `json:"value"`
	From  string `json:"from"`
	// Configured is what counts without a shared setting; nil where a member of a
	// family has nothing to go back to.
	Configured *string `json:"configured,omitempty"`
	// Version and Writer are those of the shared setting in effect.
	Version uint64 `json:"version,omitempty"`
	Writer  string `json:"writer,omitempty"`
	// Refused is the newest shared value, if it was not accepted.
	Refused *Refusal `json:"refused,omitempty"`
}

// Refusal is a value that was not accepted, and why. A long value is cut.
type Refusal struct {
	Value   string `json:"value"`
	Reason  string `json:"reason"`
	Version uint64 `json:"version"`
	Writer  string `json:"writer,omitempty"`
}

// shown describes the slot beside what was configured, if anything was.
func (s *slot[T]) shown(def Definition[T], configured *T) Shown {
	out := Shown{From: FromConfigured, Refused: s.refused}
	if configured != nil {
		text := def.format(*configured)
		out.Value, out.Configured = text, &text
	}
	if s.set {
		out.Value, out.From, out.Version, out.Writer = def.format(s.value), FromShared, s.entry.Version, s.entry.Writer
	}
	return out
}

// Show gives all registered settings by name, as they are in effect.
func (s *Set) Show() map[string]Shown {
	all := map[string]Shown{}
	if s == nil {
		return all
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.fields {
		f.show(all)
	}
	return all
}
