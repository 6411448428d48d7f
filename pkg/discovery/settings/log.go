package settings

import (
	"strings"

	"imagemill/pkg/discovery"
)

// maxUnknown bounds the memory for names that have been logged.
const maxUnknown = 1000

// strange gives the names that nobody knows and that have not been logged. The
// lock is held.
func (s *Set) strange(doc discovery.Document) []string {
	var names []string
	for name := range doc {
		if s.unknown[name] || len(s.unknown) >= maxUnknown || s.known(name) {
			continue
		}
		s.unknown[name] = true
		names = append(names, name)
	}
	return names
}

func (s *Set) known(name string) bool {
	for _, f := range s.fields {
		if f.covers(name) {
			return true
		}
	}
	_, err := s.cfg.Known.Find(name)
	return err == nil
}

// say logs one outcome and counts it.
func (s *Set) say(o outcome) {
	log := s.log.With("setting", o.name, "value", clip(o.entry.Value), "writer", writer(o.entry), "version", o.entry.Version)
	switch o.what {
	case isSet:
		s.applied.Add(1)
		log.Info("setting changed")
	case isRefused:
		s.refused.Add(1)
		log.Warn("setting refused, the last good value stays", "error", o.err)
	case isUnset:
		s.applied.Add(1)
		s.log.Info("setting unset, the configured value counts again", "setting", o.name)
	}
}

// writer is who wrote an entry, for people.
func writer(e discovery.Entry) string {
	if e.Writer == "" {
		return "unknown"
	}
	return e.Writer
}

// clip bounds a value that is shown.
func clip(value string) string {
	const most = 200
	if len(value) > most {
		return strings.ToValidUTF8(value[:most], "") + "…"
	}
	return strings.ToValidUTF8(value, "?")
}
