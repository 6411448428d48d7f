// Package config fills a service's Config struct from its defaults, the
// environment and the command line, in rising order of weight.
//
// A field takes part when it has an `env` tag; `help` says what it is for,
// `secret:"true"` keeps its value out of [Effective] and lets a file hold it,
// and `global:"true"` takes the section out of its name. From the tag LISTEN in the section "frontend"
// come the variable IMAGEMILL_FRONTEND_LISTEN and the flag --frontend-listen,
// or just --listen on the frontend's own command. A struct field without a tag
// is walked into, so that services share groups of settings; names within one
// section must differ. Values are parsed by caarlos0/env; a type with
// UnmarshalText parses itself.
package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/pflag"
)

// prefix starts the name of every environment variable.
const prefix = "IMAGEMILL_"

// Set is the settings of the sections that one command uses. The zero value is
// ready; it is not safe for concurrent use.
type Set struct {
	sections []section
	clashes  []error // of flags that two settings would have
}

type section struct {
	name     string
	target   any
	settings []*setting
}

// setting is one field under its three names.
type setting struct {
	tag, envName, flagName, help string
	fieldName, fieldType         string
	fallback                     string
	isBool, secret               bool
	flag                         *pflag.Flag
	field                        reflect.Value
}

// Add takes in target, a pointer to a struct that holds the defaults.
func (s *Set) Add(name string, target any) {
	sec := section{name: name, target: target}
	walk(reflect.ValueOf(target).Elem(), func(f reflect.StructField, v reflect.Value) {
		sec.settings = append(sec.settings, newSetting(name, f, v))
	})
	s.sections = append(s.sections, sec)
}

func newSetting(sectionName string, f reflect.StructField, v reflect.Value) *setting {
	tag := f.Tag.Get("env")
	full := tag
	if sectionName != "" && f.Tag.Get("global") != "true" {
		full = strings.ToUpper(sectionName) + "_" + tag
	}
	fallback, secret := display(v), f.Tag.Get("secret") == "true"
	if secret {
		fallback = ""
	}
	return &setting{
		tag: tag, envName: prefix + full, help: f.Tag.Get("help"), fieldName: f.Name, fieldType: typeName(v),
		flagName: strings.ToLower(strings.ReplaceAll(full, "_", "-")),
		fallback: fallback, isBool: v.Kind() == reflect.Bool, secret: secret, field: v,
	}
}

// Flags registers a flag for each setting; those of the section own are named
// without their section. A setting shared by several sections gets one flag; two
// settings that would have the same are a mistake that Load reports.
func (s *Set) Flags(fs *pflag.FlagSet, own string) {
	for _, sec := range s.sections {
		for _, st := range sec.settings {
			name := st.flagName
			if sec.name == own {
				name = strings.TrimPrefix(name, strings.ToLower(own)+"-")
			}
			taken := fs.Lookup(name)
			if taken != nil && !strings.HasSuffix(taken.Usage, "["+st.shownEnv()+"]") {
				s.clashes = append(s.clashes, fmt.Errorf("--%s is both %s and %s", name, taken.Usage, st.shownEnv()))
			}
			if taken == nil {
				f := fs.VarPF(&value{text: st.fallback, kind: st.fieldType}, name, "", fmt.Sprintf("%s [%s]", st.help, st.shownEnv()))
				if st.isBool {
					f.NoOptDefVal = "true"
				}
			}
			st.flag = fs.Lookup(name)
		}
	}
}

// Load fills all targets: a changed flag beats the environment, which beats the
// default. It reports every value that cannot be parsed, and every one that a
// target's own Validate refuses, by the setting's names.
func (s *Set) Load(lookup func(string) (string, bool)) error {
	errs := slices.Clone(s.clashes)
	for _, sec := range s.sections {
		given := map[string]string{}
		for _, st := range sec.settings {
			v, err := st.given(lookup)
			if err != nil {
				errs = append(errs, err)
			} else if v != "" || st.flag != nil && st.flag.Changed {
				given[st.tag] = v
			}
			// The parser takes an empty value for none.
			if v == "" && st.flag != nil && st.flag.Changed && st.field.Kind() == reflect.String {
				st.field.SetString("")
			}
		}
		if err := env.ParseWithOptions(sec.target, env.Options{Environment: given}); err != nil {
			errs = append(errs, sec.explain(err)...)
		} else if v, ok := sec.target.(interface{ Validate() error }); ok {
			errs = append(errs, sec.rename(v.Validate()))
		}
	}
	return errors.Join(errs...)
}

// rename turns the tags that start the lines of a Validate's error ("LISTEN: …",
// "MAX_BODY, BODY_RATE: …") into the names that a user knows.
func (sec section) rename(err error) error {
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		tags, rest, found := strings.Cut(line, ": ")
		if !found {
			continue
		}
		names := strings.Split(tags, ", ")
		for j, tag := range names {
			for _, st := range sec.settings {
				if st.tag == tag {
					names[j] = fmt.Sprintf("%s (--%s)", st.envName, st.shownFlag())
				}
			}
		}
		lines[i] = strings.Join(names, ", ") + ": " + rest
	}
	return errors.New(strings.Join(lines, "\n"))
}

// shownFlag is the flag's name on the command that was called.
func (st *setting) shownFlag() string {
	if st.flag != nil {
		return st.flag.Name
	}
	return st.flagName
}

// explain names the setting in each parse error.
func (sec section) explain(err error) []error {
	var agg env.AggregateError
	if !errors.As(err, &agg) {
		return []error{err}
	}
	var out []error
	for _, e := range agg.Errors {
		var pe env.ParseError
		if !errors.As(e, &pe) {
			out = append(out, e)
			continue
		}
		for _, st := range sec.settings {
			if st.fieldName == pe.Name {
				out = append(out, fmt.Errorf("%s (--%s) must be a %s: %w", st.envName, st.shownFlag(), st.fieldType, pe.Err))
			}
		}
	}
	return out
}

// Effective gives the values of target by their environment names without the
// prefix and section; a secret that is set shows as "(set)".
func Effective(target any) map[string]string {
	out := map[string]string{}
	v := reflect.ValueOf(target)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	walk(v, func(f reflect.StructField, v reflect.Value) {
		text := display(v)
		if f.Tag.Get("secret") == "true" && !v.IsZero() {
			text = "(set)"
		}
		out[f.Tag.Get("env")] = text
	})
	return out
}

// walk visits the tagged fields of a struct, and of those inside it.
func walk(v reflect.Value, visit func(reflect.StructField, reflect.Value)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case !f.IsExported():
		case f.Tag.Get("env") != "":
			visit(f, v.Field(i))
		case f.Type.Kind() == reflect.Struct:
			walk(v.Field(i), visit)
		}
	}
}
