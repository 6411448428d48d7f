package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// value is a flag's text, parsed later together with the environment's.
type value struct{ text, kind string }

func (v *value) String() string     { return v.text }
func (v *value) Set(s string) error { v.text = s; return nil }
func (v *value) Type() string       { return v.kind }

// display gives a field's value as it would be written in the environment.
func display(v reflect.Value) string {
	if v.Kind() == reflect.Slice {
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = fmt.Sprint(v.Index(i).Interface())
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(v.Interface())
}

// typeName is a field's type as the help text shows it.
func typeName(v reflect.Value) string {
	switch v.Interface().(type) {
	case Bytes:
		return "size"
	}
	switch v.Type().String() {
	case "time.Duration":
		return "duration"
	case "[]string":
		return "list"
	}
	switch v.Kind() {
	case reflect.Int, reflect.Int64, reflect.Int32:
		return "number"
	case reflect.Bool:
		return "switch"
	case reflect.Float64:
		return "number"
	default:
		return "text"
	}
}

// Bytes is a number of bytes, written as "65536", "64KiB", "64MiB" or "2GiB".
type Bytes int64

// units are tried from the largest, so that String is short.
func units() []struct {
	name string
	size int64
} {
	return []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
}

// UnmarshalText reads what String writes; anything else is an error that says so.
func (b *Bytes) UnmarshalText(text []byte) error {
	s, mul := strings.TrimSpace(string(text)), int64(1)
	for _, u := range units() {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			s, mul = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/mul {
		return fmt.Errorf("%q is no size: write 65536, 64KiB, 64MiB or 2GiB", text)
	}
	*b = Bytes(n * mul)
	return nil
}

// MarshalText writes the size with the largest unit that divides it.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// String writes the size with the largest unit that divides it.
func (b Bytes) String() string {
	for _, u := range units() {
		if b != 0 && int64(b)%u.size == 0 && u.size > 1 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
