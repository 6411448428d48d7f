package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestComposeNamesRealSettings finds a setting of the compose file that no
// service has: a misspelt one would be silently without effect.
func TestComposeNamesRealSettings(t *testing.T) {
	file, err := os.ReadFile("../../deploy/compose.yaml")
	require.NoError(t, err)
	var known strings.Builder
	for _, cmd := range root().Commands() {
		known.WriteString(cmd.Flags().FlagUsages())
	}
	set := regexp.MustCompile(`(?m)^ +(IMAGEMILL_[A-Z_]+): `).FindAllStringSubmatch(string(file), -1)
	require.NotEmpty(t, set)
	for _, m := range set {
		require.Regexp(t, `[\[ ]`+m[1]+`[\],:]`, known.String())
	}
}

// TestComposeBuildsTheImageOnce holds the file to one build for the one image.
func TestComposeBuildsTheImageOnce(t *testing.T) {
	file, err := os.ReadFile("../../deploy/compose.yaml")
	require.NoError(t, err)
	require.Regexp(t, `(?m)^  secrets:\n    <<: \*service\n    build:$`, string(file))
	require.Len(t, regexp.MustCompile(`(?m)^ +build:`).FindAllString(string(file), -1), 1)
}

// TestComposeGivesEveryServiceItsCommand keeps the file complete.
func TestComposeGivesEveryServiceItsCommand(t *testing.T) {
	file, err := os.ReadFile("../../deploy/compose.yaml")
	require.NoError(t, err)
	for _, s := range services() {
		if s.name != "nats" {
			require.Contains(t, string(file), "command: ["+s.name+"]")
		}
	}
}
