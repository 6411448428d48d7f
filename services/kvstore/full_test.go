package kvstore

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/volume/volumetest"
)

// journal is a log that several goroutines write to.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// On a full disk writes fail and the node leads nothing, but it lives, says so,
// serves stale reads, and goes on by itself when there is room again.
func TestFullDisk(t *testing.T) {
	disk := volumetest.New(t, 4<<20)
	cfg := diskConfig(t)
	cfg.DataDir, cfg.LeaderWait = filepath.Join(disk.Dir, "kv"), 20*time.Millisecond
	log := &journal{}
	s, err := New(cfg, Deps{Log: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	r := run(t, s)
	r.put("before", "v")

	disk.Fill(t)
	value := strings.Repeat("x", 64<<10)
	eventually(t, func() bool {
		return r.do("PUT", "/v1/kv/lost", strings.NewReader(value)).status == http.StatusInternalServerError
	})
	eventually(t, func() bool { return !s.node.lead.isOpen() })
	eventually(t, func() bool { return strings.Contains(log.String(), "the disk is full") })
	ready := r.do("GET", "/readyz", nil)
	assert.Equal(t, http.StatusServiceUnavailable, ready.status)
	assert.Contains(t, ready.body, "IMAGEMILL_KVSTORE_DATA")
	assert.Equal(t, http.StatusOK, r.do("GET", "/healthz", nil).status)
	assert.Equal(t, "v", r.do("GET", "/v1/kv/before?stale&raw", nil).body)

	disk.Free(t)
	eventually(t, func() bool { return s.node.lead.isOpen() })
	r.put("after", "v")
	eventually(t, func() bool { return r.do("GET", "/readyz", nil).status == http.StatusOK })
	assert.Equal(t, 1, strings.Count(log.String(), "the disk is full"))
	assert.Contains(t, log.String(), "room again")
	r.stop()

	again := start(t, cfg)
	assert.NotNil(t, again.get("before"))
	assert.NotNil(t, again.get("after"))
}

// A node whose disk stays full stops when it is told to.
func TestAFullDiskDoesNotHoldUpAStop(t *testing.T) {
	disk := volumetest.New(t, 4<<20)
	cfg := diskConfig(t)
	cfg.DataDir, cfg.LeaderWait = filepath.Join(disk.Dir, "kv"), 20*time.Millisecond
	r := start(t, cfg)
	r.put("before", "v")
	disk.Fill(t)
	value := strings.Repeat("x", 64<<10)
	eventually(t, func() bool {
		return r.do("PUT", "/v1/kv/lost", strings.NewReader(value)).status == http.StatusInternalServerError
	})
	eventually(t, func() bool { return !r.node.lead.isOpen() })
	r.stop()

	disk.Free(t)
	assert.NotNil(t, start(t, cfg).get("before"))
}

// fullDisk fails every write, the log's and the term's, while it is told so.
type fullDisk struct {
	raft.StableStore
	fails *atomic.Bool
}

func (d *fullDisk) SetUint64(key []byte, value uint64) error {
	if d.fails.Load() {
		return fmt.Errorf("write: %w", syscall.ENOSPC)
	}
	return d.StableStore.SetUint64(key, value)
}

// Not even the term of an election can be stored: Raft itself would panic.
func TestNoRoomForATerm(t *testing.T) {
	cfg := diskConfig(t)
	cfg.LeaderWait = 20 * time.Millisecond
	log := &journal{}
	s, err := New(cfg, Deps{Log: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	disk := &brokenDisk{}
	s.node.open = func(dir string, hlog hclog.Logger) (*stores, error) {
		st, err := openStores(dir, hlog)
		if err == nil {
			disk.LogStore, st.logs = st.logs, disk
			st.stable = &fullDisk{st.stable, &disk.fails}
		}
		return st, err
	}
	r := run(t, s)
	r.put("before", "v")
	disk.fails.Store(true)
	require.Equal(t, http.StatusInternalServerError, r.do("PUT", "/v1/kv/lost", strings.NewReader("v")).status)
	eventually(t, func() bool { return strings.Contains(log.String(), "the disk is full") })
	require.Equal(t, "No cluster leader", r.do("PUT", "/v1/kv/refused", strings.NewReader("v")).body)
	disk.fails.Store(false)
	eventually(t, func() bool { return s.node.lead.isOpen() })
	r.put("after", "v")
	require.Nil(t, r.get("lost"))
	require.NotNil(t, r.get("before"))
}

// Whatever the error, a term is stored or waited for; the node's end ends the wait.
func TestATermIsWaitedFor(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &patientStable{StableStore: brokenStable{}, ctx: ctx, log: quiet()}
	require.NoError(t, s.SetUint64([]byte("term"), 1))
	require.Error(t, s.Set([]byte("vote"), nil), "no vote may follow it")
}

type brokenStable struct{}

func (brokenStable) Set([]byte, []byte) error         { return nil }
func (brokenStable) Get([]byte) ([]byte, error)       { return nil, errDisk }
func (brokenStable) SetUint64([]byte, uint64) error   { return errDisk }
func (brokenStable) GetUint64([]byte) (uint64, error) { return 0, errDisk }
