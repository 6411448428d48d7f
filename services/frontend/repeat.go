package frontend

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/labstack/echo/v4"

	"imagemill/internal/fault"
)

// headerIdempotency is by what a client lets repeats of an upload be known.
const headerIdempotency = "Idempotency-Key"

// maxIdempotency bounds such a key, in characters.
const maxIdempotency = 255

// idempotencyKey reads the header of an upload, and makes of it a key that owners
// of other uploads cannot have: a digest, so that it is short. "" is none. A string in
// quotes (as in RFC 9651) is the same as without them.
func idempotencyKey(c echo.Context) (string, error) {
	sent := c.Request().Header.Values(headerIdempotency)
	if len(sent) == 0 {
		return "", nil
	}
	key, ok := unquote(strings.TrimSpace(sent[0]))
	if !ok || len(sent) > 1 || key == "" || len(key) > maxIdempotency ||
		strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", fault.Newf(fault.Invalid, "must be one string of 1 to %d printable ASCII characters, in quotes or without", maxIdempotency).
			WithField(headerIdempotency)
	}
	sum := sha256.Sum256([]byte("imagemill upload\x00" + owner(c) + "\x00" + key))
	return base64.RawURLEncoding.EncodeToString(sum[:24]), nil // each task carries it
}

// unquote takes the quotes off a string that has them, and the backslashes before
// quotes and backslashes in it.
func unquote(s string) (string, bool) {
	if !strings.HasPrefix(s, `"`) {
		return s, true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), i == len(s)-1
		case '\\':
			i++
			if i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", false // it does not end
}
