package storagetest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage"
)

// HostileKeys are keys that every store, and every route to one, refuses.
func HostileKeys() []string {
	return []string{
		"", ".", "..", "../x", "..\\x", "a/b", "a\\b", "/etc/passwd", "a/../b", "%2e%2e", "%2e%2e%2fx", "a%00", "a\x00b",
		"A", "aB", "a b", "a\n", "\ta", "é", "a\u202eb", "-a", "_a", ".a", ".hidden", "a.", "a..", "a+b", "a:b", "a*",
		"a?b", "a#b", "a;b", "~a", "$home", "con", "nul", "prn", "aux", "con.png", "nul.tar.gz", "com1", "com9.x", "lpt0",
		strings.Repeat("a", storage.MaxKey+1), strings.Repeat("../", 30) + "etc/passwd",
	}
}

func testHostileRefs(t *testing.T, s storage.Store) {
	refs := []storage.Ref{{State: "", Key: "a"}, {State: "inprogress", Key: "a"}, {State: "tmp", Key: "a"}, {State: "..", Key: "a"}}
	for _, key := range HostileKeys() {
		refs = append(refs, ref(key))
	}
	for _, r := range refs {
		field := "key"
		if r.Key == "a" {
			field = "state"
		}
		_, err := s.Put(t.Context(), r, strings.NewReader("x"), storage.PutOptions{Size: 1})
		requireKind(t, fault.Invalid, err, r)
		require.Equal(t, field, fault.As(err).Field, r)
		_, err = s.Get(t.Context(), r, storage.Whole())
		requireKind(t, fault.Invalid, err, r)
		_, err = s.Stat(t.Context(), r)
		requireKind(t, fault.Invalid, err, r)
		requireKind(t, fault.Invalid, s.Delete(t.Context(), r), r)
	}
	requireEmpty(t, s, "a")
}

func testGoodKeys(t *testing.T, s storage.Store) {
	keys := []string{
		"0", "a", "z9", "a.b", "a..b", "a-", "a_", "console", "com", "com10", "nul-1", "lpt", "a.con", "abcdef.x", "abcdef",
		"abcdef-1", "abcdefg", "abcdefg.png", "0198c0de-7000-7abc-8def-0123456789ab", strings.Repeat("k", storage.MaxKey),
	}
	for _, key := range keys {
		Put(t, s, key, []byte(key))
	}
	for _, key := range keys {
		got, err := Read(t, s, key, storage.Whole())
		require.NoError(t, err, key)
		require.Equal(t, key, string(got))
	}
}

func testBadOptions(t *testing.T, s storage.Store) {
	for _, opt := range []storage.PutOptions{
		{Size: -2}, {Size: -1, SHA256: "abc"}, {Size: -1, SHA256: strings.Repeat("g", 64)},
		{Size: -1, SHA256: strings.ToUpper(Digest([]byte("x")))},
	} {
		_, err := s.Put(t.Context(), ref("a"), strings.NewReader("x"), opt)
		requireKind(t, fault.Invalid, err, opt)
	}
	requireEmpty(t, s, "a")
}
