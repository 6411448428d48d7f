package kvstore

import (
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func kvOp(verb api.KVOp, key, value string) *api.TxnOp {
	return &api.TxnOp{KV: &api.KVTxnOp{Verb: verb, Key: key, Value: []byte(value)}}
}

func (r *running) txn(ops ...*api.TxnOp) (bool, *api.TxnResponse) {
	r.t.Helper()
	ok, resp, _, err := r.client.Txn().Txn(ops, nil)
	require.NoError(r.t, err)
	return ok, resp
}

func TestTxnAllOrNothing(t *testing.T) {
	r := start(t, MemConfig())
	r.put("old", "1")
	sess := r.session("release", "")
	lock := kvOp(api.KVLock, "lock", "l")
	lock.KV.Session = sess

	ok, resp := r.txn(
		kvOp(api.KVSet, "new", "2"), lock, kvOp(api.KVGet, "new", ""), kvOp(api.KVGetTree, "l", ""),
		kvOp(api.KVGetOrEmpty, "nothing", ""), kvOp(api.KVCheckNotExists, "nothing", ""), kvOp(api.KVDelete, "old", ""),
	)
	require.True(t, ok, "%v", resp.Errors)
	require.Len(t, resp.Results, 5)
	assert.Nil(t, resp.Results[0].KV.Value, "writes do not repeat the value")
	assert.Equal(t, sess, resp.Results[1].KV.Session)
	assert.Equal(t, "2", string(resp.Results[2].KV.Value), "operations see those before them")
	assert.Equal(t, "lock", resp.Results[3].KV.Key)
	assert.Equal(t, "nothing", resp.Results[4].KV.Key)
	assert.Nil(t, r.get("old"))
	assert.Equal(t, r.get("new").ModifyIndex, r.get("lock").ModifyIndex, "one transaction is one index")

	before := r.node.fsm.current()
	ok, resp = r.txn(
		kvOp(api.KVSet, "new", "3"), kvOp(api.KVDeleteTree, "", ""),
		kvOp(api.KVGet, "missing", ""), kvOp(api.KVCheckNotExists, "x", ""), kvOp("boil", "x", ""),
	)
	assert.False(t, ok)
	require.Len(t, resp.Errors, 2)
	assert.Equal(t, 2, resp.Errors[0].OpIndex)
	assert.Equal(t, `key "missing" doesn't exist`, resp.Errors[0].What)
	assert.Equal(t, `unknown KV verb "boil"`, resp.Errors[1].What)
	assert.Empty(t, resp.Results)
	assert.Equal(t, "2", string(r.get("new").Value))
	after := r.node.fsm.current()
	assert.Equal(t, before.kvIndex, after.kvIndex)
	_, held := after.held.Get(heldKey(sess, "lock"))
	assert.True(t, held, "what the session holds is rolled back too")
}

func TestTxnFailures(t *testing.T) {
	r := start(t, MemConfig())
	k := r.put("k", "v")
	mine, others := r.session("release", ""), r.session("release", "")
	ok, _, err := r.client.KV().Acquire(&api.KVPair{Key: "held", Session: others}, nil)
	require.NoError(t, err)
	require.True(t, ok)
	with := func(o *api.TxnOp, index uint64, session string) *api.TxnOp {
		o.KV.Index, o.KV.Session = index, session
		return o
	}
	for _, tc := range []struct {
		op   *api.TxnOp
		want string
	}{
		{with(kvOp(api.KVCAS, "k", "x"), k.ModifyIndex+1, ""), `failed to set key "k", index is stale`},
		{with(kvOp(api.KVCAS, "k", "x"), k.ModifyIndex, ""), ""},
		{with(kvOp(api.KVDeleteCAS, "k", ""), 1, ""), `failed to delete key "k", index is stale`},
		{with(kvOp(api.KVLock, "held", ""), 0, mine), `failed to lock key "held", lock is already held`},
		{with(kvOp(api.KVLock, "held", ""), 0, "nobody"), `invalid session "nobody"`},
		{with(kvOp(api.KVUnlock, "held", ""), 0, mine), `failed to unlock key "held", lock isn't held, or is held by another session`},
		{with(kvOp(api.KVCheckIndex, "k", ""), 1, ""), `failed index check for key "k", current modify index`},
		{with(kvOp(api.KVCheckIndex, "none", ""), 1, ""), `failed to check index, key "none" doesn't exist`},
		{with(kvOp(api.KVCheckSession, "held", ""), 0, others), ""},
		{with(kvOp(api.KVCheckSession, "held", ""), 0, mine), `failed session check for key "held", current session`},
		{with(kvOp(api.KVCheckSession, "none", ""), 0, mine), `failed to check session, key "none" doesn't exist`},
		{kvOp(api.KVCheckNotExists, "k", ""), `key "k" exists`},
		{kvOp(api.KVSet, "", "x"), "Must provide key"},
		{with(kvOp(api.KVUnlock, "held", ""), 0, others), ""},
	} {
		ok, resp := r.txn(tc.op)
		assert.Equal(t, tc.want == "", ok, "%s %s", tc.op.KV.Verb, tc.op.KV.Key)
		if tc.want != "" {
			require.NotEmpty(t, resp.Errors)
			assert.Contains(t, resp.Errors[0].What, tc.want)
		}
	}
	got := r.do("PUT", "/v1/txn", strings.NewReader(`[{"KV":{"Verb":"get","Key":"none"}}]`))
	assert.Equal(t, 409, got.status)
	const meta = `,"Index":1,"LastContact":0,"KnownLeader":true,"ConsistencyLevel":"","NotModified":false,"Backend":0,"ResultsFilteredByACLs":false}`
	assert.Equal(t, `{"Results":null,"Errors":[{"OpIndex":0,"What":"key \"none\" doesn't exist"}]`+meta, got.body)
	assert.Equal(t, `{"Results":[],"Errors":null`+meta, r.do("PUT", "/v1/txn", strings.NewReader(`[]`)).body)
}
