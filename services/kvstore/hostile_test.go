package kvstore

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every byte that can be printed may stand in a key, at its beginning, middle and
// end; paths with others are refused, as Consul refuses them.
func TestKeysOfEveryByte(t *testing.T) {
	r := start(t, MemConfig())
	for b := range 256 {
		for _, key := range []string{string([]byte{byte(b)}), "x" + string([]byte{byte(b)}) + "y", "dir/" + string([]byte{byte(b)})} {
			target := "/v1/kv/" + escapeAll(key)
			put := r.do("PUT", target, strings.NewReader(key))
			stored := entryIn(r.node.fsm.current().kv.Root(), key)
			if b < ' ' || b == 0x7f {
				require.Equal(t, http.StatusBadRequest, put.status, "%q", key)
				require.Nil(t, stored, "%q", key)
				continue
			}
			require.Equal(t, "true", put.body, "%q", key)
			require.Equal(t, key, r.do("GET", target+"?raw", nil).body, "%q", key)
			require.NotNil(t, stored, "%q is stored under its own bytes", key)
		}
	}
	for _, key := range []string{"a//b", "a/../b", "%2F", "%25", "ключ/画", "/lead", "trail/", "//", " ", "+", "?", "a?b#c"} {
		target := "/v1/kv/" + url.PathEscape(key)
		require.Equal(t, "true", r.do("PUT", target, strings.NewReader("v")).body, "%q", key)
		require.Equal(t, "v", r.do("GET", target+"?raw", nil).body, "%q", key)
		require.Equal(t, "true", r.do("DELETE", target, nil).body, "%q", key)
		require.Equal(t, http.StatusNotFound, r.do("GET", target, nil).status, "%q", key)
	}
}

func escapeAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

func TestValueLimit(t *testing.T) {
	r := start(t, MemConfig())
	fits := bytes.Repeat([]byte{'x'}, MaxValue)
	assert.Equal(t, "true", r.do("PUT", "/v1/kv/big", bytes.NewReader(fits)).body)
	assert.Len(t, r.get("big").Value, MaxValue)

	over := r.do("PUT", "/v1/kv/over", bytes.NewReader(append(fits, 'x')))
	assert.Equal(t, http.StatusRequestEntityTooLarge, over.status)
	assert.Equal(t, "Request body(524289 bytes) too large, max size: 524288 bytes. "+
		"See https://www.consul.io/docs/agent/config/config-files#kv_max_value_size.", over.body)
	// Without a length the limit holds as well.
	chunked := r.do("PUT", "/v1/kv/over", io.MultiReader(bytes.NewReader(fits), strings.NewReader("xx")))
	assert.Equal(t, http.StatusRequestEntityTooLarge, chunked.status)
	assert.Nil(t, r.get("over"))
}

func TestMalformedRequests(t *testing.T) {
	r := start(t, MemConfig())
	r.put("k", "v")
	tooMany := "[" + strings.Repeat(`{"KV":{"Verb":"get","Key":"k"}},`, 64) + `{"KV":{"Verb":"get","Key":"k"}}]`
	for _, tc := range []struct {
		method, target, body string
		status               int
		text                 string
	}{
		{"GET", "/v1/kv/k?index=x", "", 400, "Invalid index"},
		{"GET", "/v1/kv/k?index=-1", "", 400, "Invalid index"},
		{"GET", "/v1/kv/k?index=99999999999999999999", "", 400, "Invalid index"},
		{"GET", "/v1/kv/k?wait=soon", "", 400, "Invalid wait time"},
		{"GET", "/v1/kv/k?wait=10", "", 400, "Invalid wait time"},
		{"GET", "/v1/kv/k?wait=-1s&raw", "", 200, "v"},
		{"GET", "/v1/session/list?index=x", "", 400, "Invalid index"},
		{"GET", "/v1/kv/", "", 400, "Missing key name"},
		{"PUT", "/v1/kv/", "v", 400, "Missing key name"},
		{"PUT", "/v1/kv", "v", 400, "Missing key name"},
		{"DELETE", "/v1/kv/", "", 400, "Missing key name"},
		{"PUT", "/v1/kv/k?cas=x", "v", 500, "strconv.ParseUint: parsing"},
		{"PUT", "/v1/kv/k?cas=", "v", 500, "strconv.ParseUint: parsing"},
		{"PUT", "/v1/kv/k?flags=-1", "v", 500, "strconv.ParseUint: parsing"},
		{"DELETE", "/v1/kv/k?cas=1.5", "", 500, "strconv.ParseUint: parsing"},
		{"PUT", "/v1/kv/k?cas=1&acquire=s", "v", 400, "Conflicting flags: acquire=s&cas=1"},
		{"DELETE", "/v1/kv/k?recurse&cas=1", "", 400, "Conflicting flags"},
		{"PUT", "/v1/kv/k?acquire=nobody", "v", 500, `invalid session "nobody"`},
		{"PUT", "/v1/kv/k?acquire=", "v", 500, "missing session"},
		{"PUT", "/v1/kv/k?release=", "v", 500, "missing session"},
		{"PATCH", "/v1/kv/k", "v", 405, "method PATCH not allowed"},
		{"GET", "/v1/txn", "", 405, "method GET not allowed"},
		{"PUT", "/v1/txn", "{", 400, "Failed to parse body"},
		{"PUT", "/v1/txn", "", 400, "Failed to parse body"},
		{"PUT", "/v1/txn", `[null]`, 400, "Failed to parse body"},
		{"PUT", "/v1/txn", `[{"Node":{"Verb":"get"}}]`, 400, "only KV"},
		{"PUT", "/v1/txn", `[{"KV":{"Verb":"set","Key":"k","Value":"not base64"}}]`, 400, "Failed to parse body"},
		{"PUT", "/v1/txn", tooMany, 413, "Transaction contains too many operations (65 > 64)"},
		{"PUT", "/v1/txn", strings.Repeat(" ", MaxValue+1), 413, "too large"},
		{"PUT", "/v1/session/create", "{", 400, "Request decode failed"},
		{"PUT", "/v1/session/create", `{"LockDelay":"never"}`, 400, "Request decode failed"},
		{"PUT", "/v1/session/create", `{"TTL":"1ms"}`, 500, "Invalid Session TTL '1000000', must be between [10ms=24h0m0s]"},
		{"PUT", "/v1/session/create", `{"TTL":"24h1s"}`, 500, "Invalid Session TTL"},
		{"PUT", "/v1/session/create", `{"TTL":"-1s"}`, 500, "Invalid Session TTL"},
		{"PUT", "/v1/session/create", `{"TTL":"x"}`, 500, "Session TTL 'x' invalid"},
		{"PUT", "/v1/session/create", `{"Behavior":"keep"}`, 500, "Invalid Behavior setting 'keep'"},
		{"PUT", "/v1/session/create", `{"Node":"elsewhere"}`, 500, "Missing node registration"},
		{"PUT", "/v1/session/create", `{"Checks":["disk"]}`, 500, "Missing check 'disk' registration"},
		{"PUT", "/v1/session/renew/nobody", "", 404, "Session id 'nobody' not found"},
		{"PUT", "/v1/session/renew/", "", 400, "Missing session"},
		{"PUT", "/v1/session/destroy/", "", 400, "Missing session"},
		{"PUT", "/v1/session/destroy/nobody", "", 200, "true"},
		{"GET", "/v1/session/info/nobody", "", 200, "[]"},
		{"GET", "/v1/session/info/", "", 400, "Missing session"},
		{"GET", "/v1/session/node/", "", 400, "Missing node name"},
		{"GET", "/v1/session/node/elsewhere", "", 200, "[]"},
	} {
		got := r.do(tc.method, tc.target, strings.NewReader(tc.body))
		name := tc.method + " " + tc.target + " " + tc.body[:min(len(tc.body), 40)]
		assert.Equal(t, tc.status, got.status, name)
		assert.Contains(t, got.body, tc.text, name)
		if tc.status != http.StatusOK {
			assert.Equal(t, "text/plain; charset=utf-8", got.header.Get("Content-Type"), name)
		}
	}
	assert.Equal(t, "v", string(r.get("k").Value), "none of that has changed anything")
	assert.Equal(t, "OPTIONS,GET,PUT,DELETE", r.do("OPTIONS", "/v1/kv/k", nil).header.Get("Allow"))
}

// A value that breaks off is not stored.
func TestBrokenBody(t *testing.T) {
	r := start(t, MemConfig())
	pr, pw := io.Pipe()
	go func() {
		_, _ = pw.Write([]byte("half"))
		pw.CloseWithError(io.ErrClosedPipe)
	}()
	_, err := r.try(t.Context(), "PUT", "/v1/kv/broken", pr)
	require.Error(t, err)
	assert.Nil(t, r.get("broken"))
}

func FuzzDecodeCommand(f *testing.F) {
	good, err := (&command{kind: commandTxn, ops: []Op{{Verb: verbSet, Key: "k", Value: []byte("v")}}, ids: []string{"x"}, session: &Session{ID: "s"}}).encode()
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte{commandVersion, commandKV})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decodeCommand(data)
		if err != nil {
			require.ErrorIs(t, err, errCommand)
			return
		}
		_, err = c.encode()
		require.NoError(t, err)
	})
}

func FuzzReadSnapshot(f *testing.F) {
	v := emptyView()
	s := v.begin(3, sometime())
	s.create(Session{ID: "s", Behavior: behaviorDelete})
	s.set(Op{Key: "k", Value: []byte("v")})
	var b bytes.Buffer
	require.NoError(f, s.commit().write(&b))
	f.Add(b.Bytes())
	f.Fuzz(func(_ *testing.T, data []byte) {
		// It must neither panic nor take memory out of proportion.
		_, _ = readSnapshot(bytes.NewReader(data))
	})
}
