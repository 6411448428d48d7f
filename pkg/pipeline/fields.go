package pipeline

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// fields reads the members of one JSON object by name and remembers the first
// thing that is wrong. It is stricter than encoding/json: names are matched
// exactly, and repeated names, null and unknown names are refused.
type fields struct {
	path  string
	raw   map[string]json.RawMessage
	known []string
	err   *Error
}

// readObject splits an object into its members. b is valid JSON.
func readObject(path string, b []byte) *fields {
	f := &fields{path: path, raw: map[string]json.RawMessage{}}
	dec := json.NewDecoder(bytes.NewReader(b))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		f.fail("", "must be an object, { … }")
		return f
	}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		var v json.RawMessage
		if err != nil || !ok || dec.Decode(&v) != nil {
			f.fail("", "is not JSON")
			return f
		}
		if _, twice := f.raw[name]; twice {
			f.fail(clip(name), "is given twice")
		}
		f.raw[name] = v
	}
	return f
}

// clip shortens a name of the client's, so that messages stay short.
func clip(name string) string {
	if len(name) > 64 {
		return strings.ToValidUTF8(name[:64], "") + "…"
	}
	return name
}

// fail records an error below the object's path, unless there is one already.
func (f *fields) fail(name, format string, args ...any) {
	if f.err == nil {
		f.err = wrong(join(f.path, name), format, args...)
	}
}

// object gives the members of a member that is an object; nil when it is not there.
func (f *fields) object(name string) *fields {
	f.known = append(f.known, name)
	raw, ok := f.raw[name]
	if !ok {
		return nil
	}
	return readObject(join(f.path, name), raw)
}

// adopt takes over the error of a member that is an object of its own.
func (f *fields) adopt(err *Error) {
	if f.err == nil {
		f.err = err
	}
}

// read decodes a member into v and reports whether it was there.
func (f *fields) read(name string, v any, what string) bool {
	f.known = append(f.known, name)
	raw, ok := f.raw[name]
	if !ok {
		return false
	}
	if string(raw) == "null" || json.Unmarshal(raw, v) != nil {
		f.fail(name, "must be %s, not %s", what, clip(string(raw)))
		return false
	}
	return true
}

func (f *fields) integer(name string) (v int, ok bool) {
	ok = f.read(name, &v, "a whole number")
	return v, ok
}

func (f *fields) flag(name string) (v, ok bool) {
	ok = f.read(name, &v, "true or false")
	return v, ok
}

// text reads a string. One that is there but empty is refused: leaving it out
// is the one way to say "the default".
func (f *fields) text(name string) (v string) {
	if f.read(name, &v, "a string") && v == "" {
		f.fail(name, "is empty; leave it out or give a value")
	}
	return v
}

// number reads a number that must be there.
func (f *fields) number(name string) (v float64) {
	if !f.read(name, &v, "a number") {
		f.fail(name, "is missing")
	}
	return v
}

// textOr reads a string that may be left out.
func (f *fields) textOr(name, standard string) string {
	if v := f.text(name); v != "" {
		return v
	}
	return standard
}

// fraction reads a number that may be left out.
func (f *fields) fraction(name string, standard float64) float64 {
	v := standard
	f.read(name, &v, "a number")
	return v
}

// share reads a number that may be left out, but not be 0.
func (f *fields) share(name string) (v float64) {
	if f.read(name, &v, "a number") && v == 0 {
		f.fail(name, "is 0; leave it out or give a value above 0")
	}
	return v
}

// count reads a whole number that must be there.
func (f *fields) count(name string) int {
	v, ok := f.integer(name)
	if !ok {
		f.fail(name, "is missing")
	}
	return v
}

// positive reads a whole number that may be left out, but not be 0.
func (f *fields) positive(name string) int {
	v, ok := f.integer(name)
	if ok && v == 0 {
		f.fail(name, "is 0; leave it out or give a value above 0")
	}
	return v
}

// list reads an array of at most most members.
func (f *fields) list(name string, most int) (v []json.RawMessage) {
	f.read(name, &v, "a list, [ … ]")
	if len(v) > most {
		f.fail(name, "there are %d; at most %d are allowed", len(v), most)
		return nil
	}
	return v
}

// done refuses what nobody asked for and gives the first error. Unknown names
// are reported in alphabetical order, so that the message does not vary.
func (f *fields) done() *Error {
	var unknown []string
	for name := range f.raw {
		if !slices.Contains(f.known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 && f.err == nil {
		slices.Sort(unknown)
		f.fail(clip(unknown[0]), "is not known; allowed is %s", strings.Join(f.known, ", "))
	}
	return f.err
}
