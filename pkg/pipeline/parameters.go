package pipeline

import (
	"slices"
	"strconv"
	"strings"
)

// fail records an error, unless there is one already.
func (q *query) fail(name, format string, args ...any) {
	if q.err == nil {
		q.err = wrong(name, format, args...)
	}
}

// has notes that a parameter is known and reports whether it is there.
func (q *query) has(name string) bool {
	q.names = append(q.names, name)
	n := len(q.values[name])
	if n > 1 {
		q.fail(name, "is given %d times; once is allowed", n)
	}
	q.given = q.given || n > 0
	return n > 0
}

// text reads a parameter that must have a value when it is there.
func (q *query) text(name string) string {
	if !q.has(name) {
		return ""
	}
	v := q.values.Get(name)
	if v == "" {
		q.fail(name, "is empty; leave it out or give a value")
	}
	return v
}

// flag reads the value of a parameter that has is known to have found.
func (q *query) flag(name string) bool {
	v := q.values.Get(name)
	switch v {
	case "", "true", "1":
		return true
	case "false", "0":
		return false
	}
	q.fail(name, "is %q; allowed is true or false", clip(v))
	return false
}

func (q *query) integer(name string) (int, bool) {
	text := q.text(name)
	if text == "" {
		return 0, false
	}
	v, err := strconv.Atoi(text)
	if err != nil {
		q.fail(name, "is %q; must be a whole number", clip(text))
	}
	return v, true
}

func (q *query) number(name string) (float64, bool) {
	text := q.text(name)
	if text == "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		q.fail(name, "is %q; must be a number", clip(text))
	}
	return v, true
}

// positive reads a whole number that may be left out, but not be 0.
func (q *query) positive(name string) int {
	v, ok := q.integer(name)
	if ok && v == 0 {
		q.fail(name, "is 0; leave it out or give a value above 0")
	}
	return v
}

// above0 reads a number that may be left out, but not be 0.
func (q *query) above0(name string) float64 {
	v, ok := q.number(name)
	if ok && v == 0 {
		q.fail(name, "is 0; leave it out or give a value above 0")
	}
	return v
}

// first gives the first of some parameters that is there.
func (q *query) first(names ...string) string {
	for _, name := range names {
		if q.values.Has(name) {
			return name
		}
	}
	return ""
}

// color reads a colour, with or without its "#", which a query must escape.
func (q *query) color(name string) Color {
	v := q.text(name)
	if v == "" {
		return ""
	}
	return lower("#" + strings.TrimPrefix(v, "#"))
}

// done refuses parameters that nobody knows and gives the first error.
func (q *query) done(known []string) *Error {
	var unknown []string
	for name := range q.values {
		if !slices.Contains(q.names, name) && !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 && q.err == nil {
		slices.Sort(unknown)
		slices.Sort(q.names)
		what := "is not known"
		if unknown[0] == "" {
			what = "a parameter has no name"
		}
		q.fail(clip(unknown[0]), "%s; allowed is %s", what, strings.Join(slices.Compact(append(q.names, known...)), ", "))
	}
	return q.err
}
