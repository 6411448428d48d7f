package secret_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/secret"
)

func ExampleCheck() {
	fmt.Println(secret.Check("change-me-change-me"))
	fmt.Println(secret.Check(secret.New()))
	// Output:
	// is a placeholder that everybody knows; make one with: openssl rand -hex 32
	// <nil>
}

func TestNewIsNewEachTime(t *testing.T) {
	a, b := secret.New(), secret.New()
	require.NotEqual(t, a, b)
	require.Len(t, a, 43)
	for range 1000 {
		require.NoError(t, secret.Check(secret.New()))
	}
}

func TestCheck(t *testing.T) {
	for value, want := range map[string]string{
		"changemechangeme": "placeholder", "your-cluster-token-here": "placeholder", "please-change-this-token": "placeholder",
		"my-secret-token-1234": "placeholder", "xxxxxxxxxxxxxxxxxxxx": "repeats", "0000000000000000": "repeats",
		"1234567890123456": "repeats", "0f3a9c41d2b7e6580f3a9c41d2b7e658": "repeats",
		"": "shorter", "secret": "shorter", "k3Jd92lsQ": "shorter", "a b c d e f g h i j": "characters other", "quote\"quack\"quirk\"q": "characters other",
		"correct-horse-battery-staple": "", "0f3a9c41d2b7e658a1f39c41d2b7e690": "",
	} {
		err := secret.Check(value)
		if want == "" {
			require.NoError(t, err, value)
		} else {
			require.ErrorContains(t, err, want, value)
		}
	}
}
