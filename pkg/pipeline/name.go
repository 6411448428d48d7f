package pipeline

import (
	"fmt"
	"regexp"
)

// The patterns are compiled once; a Regexp is safe for concurrent use. The
// second one is that of the names that Expand makes, which Parse refuses.
var (
	namePattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)
	expandedPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}\.(webp|avif)$`)
)

const nameRule = "is %.64q; allowed are 1 to 32 characters of a-z, 0-9, _ and -, starting with a letter or digit"

// validateName checks a name, which may be one that Expand makes.
func (r Rendition) validateName() *Error {
	switch {
	case r.Name == "":
		return wrong("name", "is missing; only a single rendition may leave it out")
	case !namePattern.MatchString(r.Name) && !expandedPattern.MatchString(r.Name):
		return wrong("name", nameRule, r.Name)
	}
	return nil
}

// written counts the renditions that Expand has not made.
func (p Pipeline) written() int {
	n := 0
	for _, r := range p.Renditions {
		if !expandedPattern.MatchString(r.Name) {
			n++
		}
	}
	return n
}

// ownNames refuses the names that only Expand may give.
func (p Pipeline) ownNames() *Error {
	for i, r := range p.Renditions {
		if !namePattern.MatchString(r.Name) {
			return wrong(fmt.Sprintf("renditions[%d].name", i), nameRule, r.Name)
		}
	}
	return nil
}
