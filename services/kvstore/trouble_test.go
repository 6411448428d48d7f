package kvstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// brokenDisk is a log whose writes fail while it is told so.
type brokenDisk struct {
	raft.LogStore
	fails atomic.Bool
}

var errDisk = errors.New("no space left on device")

func (d *brokenDisk) StoreLogs(logs []*raft.Log) error {
	if d.fails.Load() {
		return errDisk
	}
	return d.LogStore.StoreLogs(logs)
}

func (d *brokenDisk) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

// A write that did not reach the disk is an error and has not happened; nothing
// is served as if the node still led, and when the disk is well again so is the
// node, with nothing of the failed writes.
func TestFailingDisk(t *testing.T) {
	cfg := diskConfig(t)
	cfg.LeaderWait = 20 * time.Millisecond
	s, err := New(cfg, Deps{Log: quiet()})
	require.NoError(t, err)
	disk := &brokenDisk{}
	s.node.open = func(dir string, log hclog.Logger) (*stores, error) {
		st, err := openStores(dir, log)
		if err == nil {
			disk.LogStore, st.logs = st.logs, disk
		}
		return st, err
	}
	r := run(t, s)
	sess := r.session("delete", "100ms")
	r.put("before", "v")

	disk.fails.Store(true)
	lost := r.do("PUT", "/v1/kv/lost", strings.NewReader("v"))
	assert.Equal(t, http.StatusInternalServerError, lost.status)
	eventually(t, func() bool { return !s.node.lead.isOpen() })
	refused := r.do("PUT", "/v1/kv/refused", strings.NewReader("v"))
	assert.Equal(t, http.StatusInternalServerError, refused.status)
	assert.Equal(t, "No cluster leader", refused.body)
	assert.Equal(t, "No cluster leader", r.do("GET", "/v1/kv/before", nil).body)
	assert.Equal(t, "No cluster leader", r.do("GET", "/v1/kv/before?consistent", nil).body)
	assert.Equal(t, "No cluster leader", r.do("PUT", "/v1/session/renew/"+sess, nil).body)
	assert.Equal(t, http.StatusServiceUnavailable, r.do("GET", "/readyz", nil).status)
	stale := r.do("GET", "/v1/kv/before?stale&raw", nil)
	assert.Equal(t, "v", stale.body, "stale reads go on")
	assert.Equal(t, "false", stale.header.Get("X-Consul-KnownLeader"))

	disk.fails.Store(false)
	eventually(t, func() bool { return s.node.lead.isOpen() })
	assert.Nil(t, r.get("lost"))
	assert.Nil(t, r.get("refused"))
	r.put("after", "v")
	eventually(t, func() bool { return r.do("GET", "/v1/session/info/"+sess, nil).body == "[]" })
	r.stop()

	again := start(t, cfg)
	keys, _, err := again.client.KV().Keys("", "", nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"after", "before"}, keys)
}

// A stop under load answers every write that it accepted, and keeps it.
func TestStopUnderLoad(t *testing.T) {
	cfg := diskConfig(t)
	r := start(t, cfg)
	var done sync.WaitGroup
	var accepted sync.Map
	var count atomic.Int32
	for c := range 8 {
		done.Go(func() {
			for n := 0; ; n++ {
				key := fmt.Sprintf("%d/%d", c, n)
				got, err := r.try(context.Background(), "PUT", "/v1/kv/"+key, strings.NewReader(key))
				if err != nil || got.status == http.StatusServiceUnavailable {
					return // refused before it was carried out
				}
				if got.body != "true" {
					t.Errorf("PUT %s: %d %s", key, got.status, got.body)
					return
				}
				accepted.Store(key, true)
				count.Add(1)
			}
		})
	}
	eventually(t, func() bool { return count.Load() > 200 })
	r.stop()
	done.Wait()

	r = start(t, cfg)
	accepted.Range(func(key, _ any) bool {
		name, _ := key.(string)
		p := r.get(name)
		return assert.NotNil(t, p, name) && assert.Equal(t, name, string(p.Value))
	})
}

// Many sessions that expire together go together, and their keys with them.
func TestManySessionsExpire(t *testing.T) {
	r := start(t, MemConfig())
	const sessions = 200
	var done sync.WaitGroup
	for i := range sessions {
		done.Go(func() {
			got := r.do("PUT", "/v1/session/create", strings.NewReader(`{"TTL":"300ms","Behavior":"delete"}`))
			id := strings.Split(got.body, `"`)[3]
			r.do("PUT", fmt.Sprintf("/v1/kv/s/%d?acquire=%s", i, id), nil)
		})
	}
	done.Wait()
	eventually(t, func() bool { return r.node.fsm.current().kv.Len() == 0 })
	v := r.node.fsm.current()
	assert.Zero(t, v.sessions.Len())
	assert.Zero(t, v.held.Len())
}

// Renewals and expiry race; whoever was told that the session lives must find
// what it holds.
func TestRenewRacesExpiry(t *testing.T) {
	r := start(t, MemConfig())
	const ttl = 30 * time.Millisecond
	for i := range 20 {
		id := r.session("delete", ttl.String())
		key := fmt.Sprintf("k%d", i)
		r.do("PUT", "/v1/kv/"+key+"?acquire="+id, nil)
		due := time.NewTimer(ttl + grace(ttl) - time.Duration(i)*100*time.Microsecond)
		<-due.C
		asked := time.Now()
		got := r.do("PUT", "/v1/session/renew/"+id, nil)
		held := r.do("GET", "/v1/kv/"+key, nil).status
		if got.status == http.StatusOK && time.Since(asked) < ttl {
			assert.Equal(t, http.StatusOK, held, "renewed, so it is alive")
		}
	}
}

func TestSessionWireFormat(t *testing.T) {
	r := start(t, MemConfig())
	id := strings.Split(r.do("PUT", "/v1/session/create", strings.NewReader(
		`{"Name":"n","TTL":"20s","LockDelay":"3s","Behavior":"delete","Unknown":1}`)).body, `"`)[3]
	got := r.do("GET", "/v1/session/info/"+id, nil)
	index := got.header.Get("X-Consul-Index")
	assert.Equal(t, `[{"ID":"`+id+`","Name":"n","Node":"kvstore","LockDelay":3000000000,"Behavior":"delete","TTL":"20s",`+
		`"NodeChecks":["serfHealth"],"ServiceChecks":null,"CreateIndex":`+index+`,"ModifyIndex":`+index+`}]`, got.body)
	assert.Equal(t, got.body, r.do("GET", "/v1/session/node/KVSTORE", nil).body, "node names have no case")
	assert.Equal(t, got.body, r.do("PUT", "/v1/session/renew/"+id, nil).body)
	assert.Equal(t, "true", r.do("PUT", "/v1/session/destroy/"+id, nil).body)
}

func TestRaftMessagesReachTheLog(t *testing.T) {
	var b bytes.Buffer
	l := raftLogger(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelInfo})), nil)
	l.Info("daily business")
	l.Warn("an election", "addr", raft.ServerAddress("x"), "timeout", 50*time.Millisecond)
	l.Error("trouble", "error", errDisk, "peers", hclog.Fmt("%d of %d", 1, 3))
	assert.NotContains(t, b.String(), "daily business")
	assert.Contains(t, b.String(), `level=INFO msg="an election" part=raft addr=x timeout=50ms`)
	assert.Contains(t, b.String(), `level=ERROR msg=trouble part=raft error="no space left on device" peers="1 of 3"`)
}

// With a cluster token, only who has it is served; Consul's clients send it.
func TestClusterToken(t *testing.T) {
	cfg := MemConfig()
	cfg.HTTP.Token = "secret"
	r := start(t, cfg)
	got := r.do("GET", "/v1/kv/k", nil)
	assert.Equal(t, http.StatusUnauthorized, got.status)
	assert.NotContains(t, got.body, "{", "plain text, as Consul writes errors")
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+"/v1/kv/?keys", nil)
	require.NoError(t, err)
	req.Header.Set("X-Consul-Token", "secret")
	resp, err := r.http.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusOK, resp.StatusCode)
}
