package kvstore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func diskConfig(t testing.TB) Config {
	c := MemConfig()
	c.DataDir = filepath.Join(t.TempDir(), "data")
	return c
}

// fill writes a bit of everything that must survive.
func fill(r *running) (held string) {
	sess := r.session("delete", "30s")
	for i := range 40 {
		r.put(fmt.Sprintf("dir/%02d", i), fmt.Sprint(i))
	}
	ok, _, err := r.client.KV().Acquire(&api.KVPair{Key: "held", Session: sess, Flags: 9}, nil)
	require.NoError(r.t, err)
	require.True(r.t, ok)
	r.do("DELETE", "/v1/kv/dir/39", nil)
	r.do("DELETE", "/v1/kv/dir/2?recurse", nil)
	delayed, _, err := r.client.Session().Create(&api.SessionEntry{LockDelay: time.Minute}, nil)
	require.NoError(r.t, err)
	_, _, err = r.client.KV().Acquire(&api.KVPair{Key: "delayed", Session: delayed}, nil)
	require.NoError(r.t, err)
	_, err = r.client.Session().Destroy(delayed, nil)
	require.NoError(r.t, err)
	return sess
}

// image gives everything a view holds, as bytes.
func image(t *testing.T, v *view) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, v.write(&b))
	return b.Bytes()
}

func TestRestartKeepsDataAndIndexes(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		t.Run(fmt.Sprintf("snapshot=%v", snapshot), func(t *testing.T) {
			cfg := diskConfig(t)
			if snapshot {
				cfg.SnapshotThreshold, cfg.SnapshotInterval = 16, 5*time.Millisecond
			}
			r := start(t, cfg)
			sess := fill(r)
			if snapshot {
				eventually(t, func() bool {
					r.put("again", fmt.Sprint(time.Now().UnixNano()))
					found, err := filepath.Glob(filepath.Join(cfg.DataDir, "snapshots", "*", "state.bin"))
					return err == nil && len(found) > 0
				})
			}
			before := image(t, r.node.fsm.current())
			id := r.node.member.Load().id
			list, meta, err := r.client.KV().List("dir/", nil)
			require.NoError(t, err)
			r.stop()

			cfg.NodeName = "renamed"
			r = start(t, cfg)
			assert.Equal(t, id, r.node.member.Load().id)
			assert.Equal(t, before, image(t, r.node.fsm.current()), "the state is the same, byte for byte")
			again, metaAgain, err := r.client.KV().List("dir/", nil)
			require.NoError(t, err)
			assert.Equal(t, list, again)
			assert.Equal(t, meta.LastIndex, metaAgain.LastIndex)
			assert.Greater(t, r.put("after", "x").ModifyIndex, metaAgain.LastIndex)

			other := newSessionNamed(t, r, "renamed")
			ok, _, err := r.client.KV().Acquire(&api.KVPair{Key: "delayed", Session: other}, nil)
			require.NoError(t, err)
			assert.False(t, ok, "a lock delay outlives a restart")
			_, err = r.client.Session().Destroy(sess, nil)
			require.NoError(t, err)
			assert.Nil(t, r.get("held"), "a session still knows what it holds")
		})
	}
}

func newSessionNamed(t *testing.T, r *running, node string) string {
	t.Helper()
	id, _, err := r.client.Session().Create(&api.SessionEntry{Node: node}, nil)
	require.NoError(t, err)
	return id
}

// A session begins its TTL anew after a restart, and expires then.
func TestSessionsExpireAfterRestart(t *testing.T) {
	var c clock
	const ttl = 150 * time.Millisecond
	cfg := diskConfig(t)
	r := startAt(t, cfg, c.now)
	id := r.session("delete", ttl.String())
	_, _, err := r.client.KV().Acquire(&api.KVPair{Key: "k", Session: id}, nil)
	require.NoError(t, err)
	c.advance(ttl)
	r.stop()
	r = startAt(t, cfg, c.now)
	c.advance(ttl)
	r.node.deadlines.wake()
	assert.NotNil(t, r.get("k"))
	c.advance(grace(ttl))
	r.node.deadlines.wake()
	eventually(t, func() bool { return r.get("k") == nil })
}

// What was answered is on disk already: a copy of the folder of a running node,
// as a crash would leave it, holds everything.
func TestCrashKeepsWhatWasAnswered(t *testing.T) {
	cfg := diskConfig(t)
	r := start(t, cfg)
	fill(r)
	want := image(t, r.node.fsm.current())
	cfg.DataDir = filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.CopyFS(cfg.DataDir, os.DirFS(r.cfg.DataDir)))
	after := start(t, cfg)
	assert.Equal(t, want, image(t, after.node.fsm.current()))
}

func TestSecondProcessOnOneFolderIsRefused(t *testing.T) {
	cfg := diskConfig(t)
	start(t, cfg)
	s, err := New(cfg, Deps{Log: quiet()})
	require.NoError(t, err)
	require.ErrorContains(t, s.Run(t.Context()), "is another kvstore running on it?")
}

// A node leads soon after its start, also on a folder with history.
func TestLeadsSoon(t *testing.T) {
	cfg := diskConfig(t)
	cfg.RaftHeartbeat = DefaultConfig().RaftHeartbeat
	for range 3 {
		begun := time.Now()
		r := start(t, cfg)
		r.put("k", fmt.Sprint(begun.UnixNano()))
		t.Logf("first write accepted after %s", time.Since(begun))
		assert.Less(t, time.Since(begun), time.Minute, "a bound for broken machines, not a measurement")
		r.stop()
	}
}

func TestSnapshotRefusesDamage(t *testing.T) {
	v := emptyView()
	s := v.begin(5, sometime())
	s.create(Session{ID: "s", Behavior: behaviorRelease})
	s.set(Op{Key: "k", Value: []byte("v")})
	s.remove(s.set(Op{Key: "gone"}))
	s.delays.Insert([]byte("d"), sometime())
	whole := image(t, s.commit())
	got, err := readSnapshot(bytes.NewReader(whole))
	require.NoError(t, err)
	assert.Equal(t, whole, image(t, got))
	for n := range len(whole) {
		_, err := readSnapshot(bytes.NewReader(whole[:n]))
		require.Error(t, err, "cut off after %d bytes", n)
	}
}

func TestDataFolderMustBeUsable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	cfg := MemConfig()
	cfg.DataDir = file
	s, err := New(cfg, Deps{Log: quiet()})
	require.NoError(t, err)
	require.ErrorContains(t, s.Run(t.Context()), "make data folder")
}
