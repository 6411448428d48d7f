// Package secret makes secrets and refuses those that everybody knows.
//
// It promises that a secret made here cannot be guessed. It does not measure
// how good a secret of somebody else's is, beyond its length and the words that
// stand in examples.
package secret

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// MinLength is the least number of characters of a secret.
const MinLength = 16

// New gives 32 random bytes as base64url, 43 characters.
func New() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it never fails: the process would end instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// Check refuses a value that is too short, that is one of the words of
// examples, or some of them in a row, or that holds characters which headers and
// configuration files do not take as they stand.
func Check(value string) error {
	if placeholder(value) {
		return errors.New("is a placeholder that everybody knows; make one with: openssl rand -hex 32")
	}
	if len(value) < MinLength {
		return fmt.Errorf("is shorter than %d characters; make one with: openssl rand -hex 32", MinLength)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9._~+/=-]+$`).MatchString(value) {
		return errors.New("holds characters other than letters, digits and . _ ~ + / = -")
	}
	return nil
}

// placeholder reports whether a value is nothing but well-known words, the
// digits in their order, or one character.
func placeholder(value string) bool {
	v := strings.ToLower(value)
	if v == "" {
		return false
	}
	if strings.Trim(v, v[:1]) == "" || strings.Contains(strings.Repeat("1234567890", 10), v) {
		return true
	}
	words := []string{
		"change", "this", "me", "please", "replace", "your", "my", "default", "example", "placeholder",
		"insecure", "imagemill", "cluster", "nats", "api", "dev", "test", "demo", "foo", "bar",
		"secret", "token", "password", "passwd", "key", "admin", "root", "todo", "xxx",
	}
	parts := strings.FieldsFunc(v, func(r rune) bool { return r < 'a' || r > 'z' })
	return len(parts) > 0 && !slices.ContainsFunc(parts, func(p string) bool { return !madeOf(p, words) })
}

// madeOf reports whether text is some of the words, one after the other.
func madeOf(text string, words []string) bool {
	if text == "" {
		return true
	}
	return slices.ContainsFunc(words, func(w string) bool {
		rest, found := strings.CutPrefix(text, w)
		return found && madeOf(rest, words)
	})
}
