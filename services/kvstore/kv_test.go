package kvstore

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPutGetDelete(t *testing.T) {
	r := start(t, MemConfig())
	kv := r.client.KV()

	missing, meta, err := kv.Get("a", nil)
	require.NoError(t, err)
	assert.Nil(t, missing)
	assert.Positive(t, meta.LastIndex, "the index is never 0")
	assert.True(t, meta.KnownLeader)

	_, err = kv.Put(&api.KVPair{Key: "a", Value: []byte("one"), Flags: 42}, nil)
	require.NoError(t, err)
	first, meta, err := kv.Get("a", nil)
	require.NoError(t, err)
	assert.Equal(t, "one", string(first.Value))
	assert.EqualValues(t, 42, first.Flags)
	assert.Equal(t, first.CreateIndex, first.ModifyIndex)
	assert.Equal(t, first.ModifyIndex, meta.LastIndex)

	second := r.put("a", "two")
	assert.Equal(t, first.CreateIndex, second.CreateIndex)
	assert.Greater(t, second.ModifyIndex, first.ModifyIndex)

	again := r.put("a", "two")
	assert.Equal(t, second.ModifyIndex, again.ModifyIndex, "an equal value is no change")

	_, err = kv.Delete("a", nil)
	require.NoError(t, err)
	gone, meta, err := kv.Get("a", nil)
	require.NoError(t, err)
	assert.Nil(t, gone)
	assert.Greater(t, meta.LastIndex, second.ModifyIndex)
	_, err = kv.Delete("a", nil)
	require.NoError(t, err, "deleting what is not there succeeds")
}

func TestCompareAndSet(t *testing.T) {
	r := start(t, MemConfig())
	kv := r.client.KV()
	cas := func(index uint64, value string) bool {
		ok, _, err := kv.CAS(&api.KVPair{Key: "c", ModifyIndex: index, Value: []byte(value)}, nil)
		require.NoError(t, err)
		return ok
	}
	assert.False(t, cas(7, "x"), "an index for a key that is not there")
	assert.True(t, cas(0, "x"))
	assert.False(t, cas(0, "y"), "0 means that there is no key")
	p := r.get("c")
	assert.False(t, cas(p.ModifyIndex+1, "y"))
	assert.True(t, cas(p.ModifyIndex, "y"))
	assert.False(t, cas(p.ModifyIndex, "z"), "the index has moved")

	ok, _, err := kv.DeleteCAS(&api.KVPair{Key: "c", ModifyIndex: p.ModifyIndex}, nil)
	require.NoError(t, err)
	assert.False(t, ok)
	ok, _, err = kv.DeleteCAS(&api.KVPair{Key: "c", ModifyIndex: r.get("c").ModifyIndex}, nil)
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Nil(t, r.get("c"))
}

func TestListsAndKeys(t *testing.T) {
	r := start(t, MemConfig())
	kv := r.client.KV()
	all := []string{"a", "a/", "a/b", "a/b/c", "a/b/d", "a/e", "ab", "b/x"}
	for _, k := range []string{"b/x", "a/e", "a/b/d", "a/b/c", "a/b", "ab", "a/", "a"} {
		r.put(k, k)
	}
	for _, tc := range []struct {
		prefix, separator string
		want              []string
	}{
		{"", "", all},
		{"a/", "", []string{"a/", "a/b", "a/b/c", "a/b/d", "a/e"}},
		{"a/", "/", []string{"a/", "a/b", "a/b/", "a/e"}},
		{"a", "/", []string{"a", "a/", "ab"}},
		{"", "/", []string{"a", "a/", "ab", "b/"}},
		{"a/b", "b", []string{"a/b", "a/b/c", "a/b/d"}},
		{"none", "", nil},
	} {
		got, _, err := kv.Keys(tc.prefix, tc.separator, nil)
		require.NoError(t, err)
		assert.Equal(t, tc.want, got, "keys %q %q", tc.prefix, tc.separator)
	}
	pairs, meta, err := kv.List("a/b", nil)
	require.NoError(t, err)
	require.Len(t, pairs, 3)
	assert.Equal(t, "a/b/c", pairs[1].Key)
	assert.Equal(t, pairs[0].ModifyIndex, meta.LastIndex, "the newest below the prefix")

	_, err = kv.DeleteTree("a/b", nil)
	require.NoError(t, err)
	rest, after, err := kv.Keys("a/", "", nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"a/", "a/e"}, rest)
	assert.Greater(t, after.LastIndex, meta.LastIndex, "a delete moves the prefix's index")
	_, err = kv.DeleteTree("", nil)
	require.NoError(t, err)
	assert.Equal(t, "[]", r.do("GET", "/v1/kv/?keys", nil).body)
	assert.Equal(t, http.StatusNotFound, r.do("GET", "/v1/kv/?recurse", nil).status)
}

func TestWireFormat(t *testing.T) {
	r := start(t, MemConfig())
	assert.Equal(t, "true", r.do("PUT", "/v1/kv/k?flags=7", strings.NewReader("v\x00\xff")).body)
	assert.Equal(t, "true", r.do("POST", "/v1/kv/posted", strings.NewReader("p")).body)
	p := r.get("k")
	got := r.do("GET", "/v1/kv/k", nil)
	var want strings.Builder
	require.NoError(t, json.NewEncoder(&want).Encode(p.ModifyIndex))
	index := strings.TrimSpace(want.String())
	assert.Equal(t, `[{"LockIndex":0,"Key":"k","Flags":7,"Value":"dgD/","CreateIndex":`+index+`,"ModifyIndex":`+index+`}]`, got.body)
	assert.Equal(t, "application/json", got.header.Get("Content-Type"))
	assert.Equal(t, index, got.header.Get("X-Consul-Index"))
	assert.Equal(t, "true", got.header.Get("X-Consul-KnownLeader"))
	assert.Equal(t, "0", got.header.Get("X-Consul-LastContact"))

	raw := r.do("GET", "/v1/kv/k?raw", nil)
	assert.Equal(t, "v\x00\xff", raw.body)
	assert.Equal(t, "sandbox", raw.header.Get("Content-Security-Policy"))
	assert.Contains(t, r.do("GET", "/v1/kv/k?pretty", nil).body, "\n    {\n")

	assert.Equal(t, "true", r.do("PUT", "/v1/kv/empty", nil).body)
	assert.Contains(t, r.do("GET", "/v1/kv/empty", nil).body, `"Value":null`)
	none := r.do("GET", "/v1/kv/none?raw", nil)
	assert.Equal(t, http.StatusNotFound, none.status)
	assert.Empty(t, none.body)
	assert.NotEmpty(t, none.header.Get("X-Consul-Index"))
	assert.Equal(t, "false", r.do("PUT", "/v1/kv/k?cas=1", nil).body)
	assert.Equal(t, "true", r.do("DELETE", "/v1/kv/k", nil).body)
	assert.Equal(t, "true", r.do("DELETE", "/v1/kv/?recurse", nil).body)
}

func TestReadModes(t *testing.T) {
	r := start(t, MemConfig())
	r.put("k", "v")
	for _, mode := range []string{"?stale", "?consistent", "?"} {
		got := r.do("GET", "/v1/kv/k"+mode, nil)
		assert.Equal(t, http.StatusOK, got.status, mode)
		assert.Equal(t, "true", got.header.Get("X-Consul-KnownLeader"))
	}
	both := r.do("GET", "/v1/kv/k?stale&consistent", nil)
	assert.Equal(t, http.StatusBadRequest, both.status)
	assert.Equal(t, http.StatusOK, r.do("GET", "/v1/kv/k?dc=dc1", nil).status)
	assert.Equal(t, http.StatusInternalServerError, r.do("GET", "/v1/kv/k?dc=mars", nil).status)
}
