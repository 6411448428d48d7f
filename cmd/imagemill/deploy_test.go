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
