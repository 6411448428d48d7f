package pipeline

import (
	"slices"
	"strings"
)

// meanings lists for which formats a field of a rendition means anything. Same
// is in each list: what it turns into is known only from the original.
var meanings = []struct {
	field   string
	given   func(r Rendition) bool
	formats []Format
}{
	{"quality", func(r Rendition) bool { return r.TargetSSIM != 0 }, []Format{Same, Auto, JPEG, WebP, AVIF, JXL}},
	{"maxBytes", func(r Rendition) bool { return r.MaxBytes != 0 }, []Format{Same, Auto, JPEG, WebP, AVIF, JXL}},
	{"progressive", func(r Rendition) bool { return r.Progressive }, []Format{Same, Auto, JPEG}},
	{"chroma", func(r Rendition) bool { return r.Chroma != "" }, []Format{Same, Auto, JPEG, AVIF}},
	{"lossless", func(r Rendition) bool { return r.Lossless }, []Format{Same, WebP, AVIF, JXL}},
	{"colors", func(r Rendition) bool { return r.Colors != 0 }, []Format{Same, PNG, GIF}},
	{"animated", func(r Rendition) bool { return r.Animated }, []Format{Same, Auto, GIF, WebP}},
}

// meaning refuses fields that mean nothing for the format or beside another.
func (r Rendition) meaning() *Error {
	for _, m := range meanings {
		if m.given(r) && !slices.Contains(m.formats, r.Format) {
			return wrong(m.field, "has no meaning for format %s; it is for %s", r.Format, formatNames(m.formats))
		}
	}
	switch {
	case r.Lossless && (r.Quality != 0 || r.TargetSSIM != 0):
		return wrong("quality", "cannot stand beside lossless")
	case r.Lossless && r.MaxBytes != 0:
		return wrong("maxBytes", "cannot stand beside lossless, which has no quality to lower")
	case r.Lossless && r.Chroma != "":
		return wrong("chroma", "cannot stand beside lossless, which keeps every colour")
	case r.Animated && r.Frame != 0:
		return wrong("frame", "cannot stand beside animated, which keeps all frames")
	}
	return nil
}

// formatNames lists formats for messages.
func formatNames(formats []Format) string {
	var names []string
	for _, f := range formats {
		if f != Same {
			names = append(names, string(f))
		}
	}
	return strings.Join(names, ", ")
}
