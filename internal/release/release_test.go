package release_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"imagemill/internal/release"
)

func TestVersionBeginsWithTheNumber(t *testing.T) {
	assert.Regexp(t, `^`+release.Number+`(\+[0-9a-f]{12})?$`, release.Version())
}

func TestSame(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"1.2.3", "1.2.3", true}, {"1.2.3+a", "1.2.3+a", true}, {"1.2.3+a", "1.2.3", true}, {"1.2.3", "1.2.3+a", true},
		{"1.2.3+a", "1.2.3+b", false}, {"1.2.3", "1.2.4", false}, {"1.2.3+a", "1.2.4+a", false}, {"", "1.2.3", false},
	} {
		assert.Equal(t, c.want, release.Same(c.a, c.b), "%q %q", c.a, c.b)
	}
}
