// Package release says which version of imagemill a program is, and which versions
// of two of its programs fit together.
package release

import (
	"runtime/debug"
	"strings"
)

// Number is the version; deploy/image.sh reads it here.
const Number = "0.1.0"

// Version is Number, with the commit that the program was built from after a plus
// sign where that is known.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Number
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return Number + "+" + s.Value[:12]
		}
	}
	return Number
}

// Same reports whether two programs, of the versions a and b, can be of one build:
// the numbers are the same and, where both name a commit, the commits too.
func Same(a, b string) bool {
	numberA, commitA, _ := strings.Cut(a, "+")
	numberB, commitB, _ := strings.Cut(b, "+")
	return numberA == numberB && (commitA == commitB || commitA == "" || commitB == "")
}
