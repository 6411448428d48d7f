package kvstore

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sometime() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func TestSessionLife(t *testing.T) {
	r := start(t, MemConfig())
	ses := r.client.Session()
	id, _, err := ses.Create(&api.SessionEntry{Name: "mine", TTL: "20s", LockDelay: 3 * time.Second}, nil)
	require.NoError(t, err)
	info, meta, err := ses.Info(id, nil)
	require.NoError(t, err)
	assert.Equal(t, "mine", info.Name)
	assert.Equal(t, "kvstore", info.Node)
	assert.Equal(t, 3*time.Second, info.LockDelay)
	assert.Equal(t, "release", info.Behavior)
	assert.Equal(t, "20s", info.TTL)
	assert.Equal(t, []string{"serfHealth"}, info.NodeChecks)
	assert.Equal(t, info.CreateIndex, meta.LastIndex)

	other := r.session("delete", "")
	list, _, err := ses.List(nil)
	require.NoError(t, err)
	assert.Len(t, list, 2)
	onNode, _, err := ses.Node("kvstore", nil)
	require.NoError(t, err)
	assert.Len(t, onNode, 2)

	renewed, _, err := ses.Renew(id, nil)
	require.NoError(t, err)
	assert.Equal(t, "20s", renewed.TTL)
	renewed, _, err = ses.Renew(other, nil)
	require.NoError(t, err)
	assert.NotNil(t, renewed, "a session without TTL can be renewed too")

	_, err = ses.Destroy(id, nil)
	require.NoError(t, err)
	gone, _, err := ses.Info(id, nil)
	require.NoError(t, err)
	assert.Nil(t, gone)
	renewed, _, err = ses.Renew(id, nil)
	require.NoError(t, err)
	assert.Nil(t, renewed)
}

func TestSessionDefaults(t *testing.T) {
	r := start(t, MemConfig())
	assert.Equal(t, 200, r.do("PUT", "/v1/session/create", nil).status)
	list, _, err := r.client.Session().List(nil)
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, 15*time.Second, list[0].LockDelay)
	bare, _, err := r.client.Session().CreateNoChecks(nil, nil)
	require.NoError(t, err)
	info, _, err := r.client.Session().Info(bare, nil)
	require.NoError(t, err)
	assert.Empty(t, info.NodeChecks)
	for value, want := range map[any]time.Duration{
		"15000ms": 15 * time.Second, "5s": 5 * time.Second, 5.0: 5 * time.Second, "0s": 0,
		2e9: 2 * time.Second, -3.0: -3 * time.Second, 1e300: maxSessionTTL,
	} {
		got, err := lockDelay(value)
		require.NoError(t, err)
		assert.Equal(t, want, got, "%v", value)
	}
}

func TestAcquireAndRelease(t *testing.T) {
	r := start(t, MemConfig())
	kv := r.client.KV()
	one, two := r.session("release", ""), r.session("delete", "")
	acquire := func(session string) bool {
		ok, _, err := kv.Acquire(&api.KVPair{Key: "lock", Value: []byte("held by " + session), Session: session}, nil)
		require.NoError(t, err)
		return ok
	}
	release := func(session string) bool {
		ok, _, err := kv.Release(&api.KVPair{Key: "lock", Session: session}, nil)
		require.NoError(t, err)
		return ok
	}
	assert.False(t, release(one), "there is no key yet")
	assert.True(t, acquire(one))
	assert.EqualValues(t, 1, r.get("lock").LockIndex)
	assert.Equal(t, one, r.get("lock").Session)
	assert.True(t, acquire(one), "the holder may acquire again")
	assert.EqualValues(t, 1, r.get("lock").LockIndex)
	assert.False(t, acquire(two))
	assert.False(t, release(two))
	assert.True(t, release(one))
	assert.Empty(t, r.get("lock").Session)
	assert.True(t, acquire(two))
	assert.EqualValues(t, 2, r.get("lock").LockIndex)

	_, err := r.client.Session().Destroy(two, nil)
	require.NoError(t, err)
	assert.Nil(t, r.get("lock"), "behaviour delete takes the key along")
	eventually(t, func() bool { return acquire(one) })
	before := r.get("lock").ModifyIndex
	_, err = r.client.Session().Destroy(one, nil)
	require.NoError(t, err)
	after := r.get("lock")
	assert.Empty(t, after.Session, "behaviour release frees the key")
	assert.Greater(t, after.ModifyIndex, before)
	assert.EqualValues(t, 1, after.LockIndex)
}

// clock is a clock that only moves when told to.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return sometime().Add(time.Duration(c.at.Load())) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

func TestLockDelay(t *testing.T) {
	var c clock
	s, err := New(MemConfig(), Deps{Log: quiet(), Now: c.now})
	require.NoError(t, err)
	r := run(t, s)
	ses := r.client.Session()
	for _, behavior := range []string{"release", "delete"} {
		holder, _, err := ses.Create(&api.SessionEntry{Behavior: behavior, LockDelay: 5 * time.Second}, nil)
		require.NoError(t, err)
		next := r.session("release", "")
		acquire := func(id string) bool {
			ok, _, err := r.client.KV().Acquire(&api.KVPair{Key: behavior, Session: id}, nil)
			require.NoError(t, err)
			return ok
		}
		require.True(t, acquire(holder))
		_, err = ses.Destroy(holder, nil)
		require.NoError(t, err)
		assert.False(t, acquire(next), "within the delay")
		c.advance(5*time.Second - time.Nanosecond)
		assert.False(t, acquire(next), "still within the delay")
		c.advance(time.Nanosecond)
		assert.True(t, acquire(next))
	}
}

// A session that is renewed lives; one that is not is gone after its TTL, but
// not before, and its key with it.
func TestExpiry(t *testing.T) {
	var c clock
	r := startAt(t, MemConfig(), c.now)
	const ttl = 200 * time.Millisecond
	passes := func(d time.Duration) {
		c.advance(d)
		r.node.deadlines.wake()
	}
	dying, living := r.session("delete", ttl.String()), r.session("delete", ttl.String())
	for key, id := range map[string]string{"dying": dying, "living": living} {
		ok, _, err := r.client.KV().Acquire(&api.KVPair{Key: key, Session: id}, nil)
		require.NoError(t, err)
		require.True(t, ok)
	}
	index := r.get("dying").ModifyIndex
	renewed := make(chan error, 1)
	stop := make(chan struct{})
	go func() { renewed <- r.client.Session().RenewPeriodic(ttl.String(), living, &api.WriteOptions{}, stop) }()

	keep := func() {
		entry, _, err := r.client.Session().Renew(living, nil)
		require.NoError(t, err)
		require.NotNil(t, entry)
	}
	passes(ttl)
	assert.NotNil(t, r.get("dying"))
	keep()
	passes(grace(ttl))
	gone, _, err := r.client.KV().Get("dying", &api.QueryOptions{WaitIndex: index})
	require.NoError(t, err)
	assert.Nil(t, gone)
	assert.NotNil(t, r.get("living"))
	again, _, err := r.client.Session().Renew(dying, nil)
	require.NoError(t, err)
	assert.Nil(t, again)

	for range 3 {
		keep()
		passes(ttl)
	}
	assert.NotNil(t, r.get("living"), "renewals keep it alive over several TTLs")
	close(stop)
	require.NoError(t, <-renewed)
	assert.Nil(t, r.get("living"), "the client destroys the session at the end")
}

func TestDeadlines(t *testing.T) {
	d, now := newDeadlines(), sometime()
	d.start("a", 10*time.Second, now)
	d.start("b", 20*time.Second, now)
	d.start("never", 0, now)
	d.start("c", 5*time.Second, now)
	assert.Equal(t, 5*time.Second+500*time.Millisecond, d.next(now))
	assert.Empty(t, d.due(now.Add(5*time.Second)))
	assert.Equal(t, []string{"c"}, d.due(now.Add(5501*time.Millisecond)))
	assert.False(t, d.renew("c", now), "an expired one is not brought back")
	assert.True(t, d.renew("a", now.Add(9*time.Second)))
	d.stop("b")
	assert.Empty(t, d.due(now.Add(19*time.Second)))
	assert.Equal(t, []string{"a"}, d.due(now.Add(20*time.Second)))
	assert.Equal(t, time.Hour, d.next(now))
	d.reset([]*Session{{ID: "x", TTL: "1s"}, {ID: "y"}}, now)
	assert.Equal(t, []string{"x"}, d.due(now.Add(time.Minute)))
}
