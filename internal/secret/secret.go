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

// Check refuses a value that is weak, or that holds characters which headers
// and configuration files do not take as they stand.
func Check(value string) error {
	if why := Weakness(value); why != "" {
		return fmt.Errorf("%s; make one with: openssl rand -hex 32", why)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return !plain(r) }) {
		return errors.New("holds characters other than letters, digits and . _ ~ + / = -")
	}
	return nil
}

// plain reports whether a character needs no quoting anywhere.
func plain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._~+/=-", r)
}

// Weakness says what is wrong with a secret, "" for nothing. It finds what people
// leave in a file, not what a cracker would find.
func Weakness(secret string) string {
	switch {
	case len(secret) < MinLength:
		return fmt.Sprintf("is shorter than %d characters", MinLength)
	case len(withoutPlaceholders(secret)) < MinLength/2:
		return "is a placeholder that everybody knows"
	// A text that occurs in its own double, ends cut off, repeats a piece of itself.
	case strings.Contains((secret + secret)[1:2*len(secret)-1], secret), distinct(secret) < 5, isRun(secret):
		return "only repeats or counts up a few characters"
	}
	return ""
}

// withoutPlaceholders is what is left of a secret without the words that
// examples are made of, and without what such words are joined by.
func withoutPlaceholders(secret string) string {
	left := strings.ToLower(secret)
	// Longer words first, so that none is cut in two.
	for _, word := range []string{
		"replacewith", "placeholder", "imagemill", "changeit", "changeme", "password", "insecure", "cluster", "default",
		"example", "replace", "letmein", "welcome", "qwerty", "secret", "s3cret", "passwd", "change", "please", "sample",
		"token", "admin", "dummy", "value", "nats", "test", "this", "todo", "your", "with", "here", "pass", "key", "api", "foo",
		"bar", "123", "my", "me",
	} {
		left = strings.ReplaceAll(left, word, "")
		for _, joint := range []string{"-", "_", ".", " ", "!", "<", ">"} {
			left = strings.ReplaceAll(left, joint, "")
		}
	}
	return left
}

func distinct(s string) int {
	seen := map[byte]bool{}
	for _, b := range []byte(s) {
		seen[b] = true
	}
	return len(seen)
}

// isRun finds "1234567890123456" and "abcdefghijklmnop": three quarters of the
// steps lead to the same or a neighbouring character.
func isRun(s string) bool {
	near := 0
	for i := 1; i < len(s); i++ {
		if d := int(s[i]) - int(s[i-1]); d >= -1 && d <= 1 {
			near++
		}
	}
	return near*4 >= (len(s)-1)*3
}
