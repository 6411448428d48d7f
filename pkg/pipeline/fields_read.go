package pipeline

import "encoding/json"

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
