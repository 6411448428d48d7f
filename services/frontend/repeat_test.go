package frontend

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// send uploads with headers given as name, value, …
func (s *suite) send(query string, b []byte, header ...string) answer {
	s.t.Helper()
	return s.do(http.MethodPost, "/newImage"+query, bytes.NewReader(b), append(header, "Content-Type", "application/octet-stream")...)
}

func (a answer) id(t *testing.T) string {
	t.Helper()
	require.Equal(t, http.StatusAccepted, a.StatusCode, "%s", a.body)
	var acc accepted
	require.NoError(t, json.Unmarshal(a.body, &acc))
	return acc.ID
}

func TestRepeatsUnderAKey(t *testing.T) {
	s := start(t)
	first := s.send("?width=5", testPNG(t), "Idempotency-Key", `"a \"key\\ of mine"`)
	again := s.send("?width=5", testPNG(t), "Idempotency-Key", `a "key\ of mine`)
	assert.Equal(t, first.id(t), again.id(t), "with quotes or without")
	assert.Equal(t, string(first.body), string(again.body), "answered like the first")
	assert.Equal(t, first.Header.Get("Location"), again.Header.Get("Location"))
	body, contentType := form(t, "width", "5", "image", string(testPNG(t)))
	inForm := s.do(http.MethodPost, "/newImage", body, "Content-Type", contentType, "Idempotency-Key", `a "key\ of mine`)
	assert.Equal(t, first.id(t), inForm.id(t), "the picture counts, not how it came")
	assert.NotEqual(t, first.id(t), s.send("?width=5", testPNG(t), "Idempotency-Key", "another").id(t))
	assert.NotEqual(t, s.post("?width=5", testPNG(t)).id(t), s.post("?width=5", testPNG(t)).id(t), "without a key")

	p := s.send("?width=6", testPNG(t), "Idempotency-Key", `a "key\ of mine`).problem(t, 422)
	assert.Equal(t, []string{"Idempotency-Key", first.id(t)}, []string{p.Field, p.ID})
}

func TestKeysOfUsersAreTheirOwn(t *testing.T) {
	users := []string{"the-first-users-api-key", "the-second-users-api-key"}
	s := start(t, func(c *Config) { c.APIKeys = users })
	var ids []string
	for _, user := range users {
		ids = append(ids, s.send("", testPNG(t), "Idempotency-Key", "k", "X-API-Key", user).id(t))
		assert.Equal(t, ids[len(ids)-1], s.send("", testPNG(t), "Idempotency-Key", "k", "Authorization", "Bearer "+user).id(t))
	}
	assert.NotEqual(t, ids[0], ids[1])
	img, _, _ := s.master.only()
	assert.Regexp(t, "^[0-9A-Za-z_-]{32}$", img.upload.IdempotencyKey, "nothing of either key travels on")
}

func TestWrongIdempotencyKeys(t *testing.T) {
	s := start(t)
	for _, key := range []string{"", `""`, `"open`, `"a"b`, `"a\b"`, strings.Repeat("k", 256), "tab\tkey", "\u00e9"} {
		p := s.send("", testPNG(t), "Idempotency-Key", key).problem(t, 400)
		assert.Equal(t, "Idempotency-Key", p.Field, key)
	}
	s.nothing()
	assert.NotEmpty(t, s.send("", testPNG(t), "Idempotency-Key", strings.Repeat("k", 255)).id(t))
}
