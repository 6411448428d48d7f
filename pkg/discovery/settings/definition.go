package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"imagemill/pkg/discovery"
)

// ErrUnknown is wrapped by the error for a name that no definition has.
var ErrUnknown = errors.New("unknown setting")

// Definition is one setting, or a family of settings of one kind.
type Definition[T any] struct {
	// Name is the setting's name, such as "log/level". One that ends in "/*" stands
	// for all names that begin with what is before the star: "presets/*".
	Name string
	// Help says what it is for; Allowed, which values there are. Both are words for
	// people.
	Help, Allowed string
	// Parse reads and checks a value, without the space around it. Its error says
	// what is wrong; it is shown to whoever wrote the value.
	Parse func(text string) (T, error)
	// Format writes what Parse reads; nil is fmt.Sprint.
	Format func(value T) string
}

// Description is a definition in words.
type Description struct {
	Name    string `json:"name"`
	Help    string `json:"help"`
	Allowed string `json:"allowed"`
}

// Known is a Definition of any type.
type Known interface {
	// Describe gives the words.
	Describe() Description
	// Check says what is wrong with a value, or nil.
	Check(text string) error
}

// Describe implements Known.
func (d Definition[T]) Describe() Description { return Description{d.Name, d.Help, d.Allowed} }

// Check implements Known.
func (d Definition[T]) Check(text string) error {
	_, err := d.parse(text)
	return err
}

// parse refuses what no setting can be before Parse sees it.
func (d Definition[T]) parse(text string) (value T, err error) {
	if len(text) > discovery.MaxSettingValue {
		return value, fmt.Errorf("has %d bytes; at most %d are allowed", len(text), discovery.MaxSettingValue)
	}
	if !utf8.ValidString(text) {
		return value, errors.New("is not text (UTF-8)")
	}
	return d.Parse(strings.TrimSpace(text))
}

func (d Definition[T]) format(value T) string {
	if d.Format == nil {
		return fmt.Sprint(value)
	}
	return d.Format(value)
}

// member reports whether a name belongs to the family of the name, and what it is
// called in it.
func member(family, name string) (of string, ok bool) {
	prefix, isFamily := strings.CutSuffix(family, "*")
	if !isFamily {
		return "", false
	}
	of, ok = strings.CutPrefix(name, prefix)
	return of, ok && of != ""
}

// Catalogue is all settings that a suite knows.
type Catalogue []Known

// Find gives the definition that a name belongs to. What it returns for a name
// that nobody knows wraps ErrUnknown and lists those that there are.
func (c Catalogue) Find(name string) (Known, error) {
	for _, k := range c {
		known := k.Describe().Name
		if _, in := member(known, name); in || known == name && !strings.HasSuffix(known, "*") {
			return k, nil
		}
	}
	return nil, fmt.Errorf("%w: %.200q; there are %s", ErrUnknown, name, strings.Join(c.names(), ", "))
}

// Check says what is wrong with a name or with a value for it: ErrUnknown,
// discovery.ErrInvalidSetting, or nil. It is what every reader of the setting
// checks too.
func (c Catalogue) Check(name, value string) error {
	if err := discovery.CheckSettingName(name); err != nil {
		return err
	}
	k, err := c.Find(name)
	if err != nil {
		return err
	}
	if err := k.Check(value); err != nil {
		return fmt.Errorf("%w: %s: %w", discovery.ErrInvalidSetting, name, err)
	}
	return nil
}

// names lists all in order.
func (c Catalogue) names() []string {
	names := make([]string, len(c))
	for i, k := range c {
		names[i] = k.Describe().Name
	}
	slices.Sort(names)
	return names
}
