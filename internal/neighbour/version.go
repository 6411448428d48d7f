package neighbour

import (
	"strconv"
	"strings"
)

// Compatible reports whether two versions may work together for longer than an
// upgrade takes: the same major version and, while that is 0, the same minor
// one. What follows a '+' or a '-' (commit, pre-release) does not matter, nor
// does the patch. A version that is no vMAJOR.MINOR… is compatible with all:
// there is nothing to compare.
func Compatible(a, b string) bool {
	majorA, minorA, okA := parse(a)
	majorB, minorB, okB := parse(b)
	if !okA || !okB {
		return true
	}
	return majorA == majorB && (majorA != 0 || minorA == minorB)
}

func parse(version string) (major, minor int, ok bool) {
	version, _, _ = strings.Cut(strings.TrimPrefix(version, "v"), "+")
	version, _, _ = strings.Cut(version, "-")
	first, rest, found := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	major, err := strconv.Atoi(first)
	if err != nil || !found {
		return 0, 0, false
	}
	minor, err = strconv.Atoi(second)
	return major, minor, err == nil
}
