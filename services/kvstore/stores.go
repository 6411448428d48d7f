package kvstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// stores is where a node keeps what must survive it.
type stores struct {
	id     raft.ServerID
	logs   raft.LogStore
	stable raft.StableStore
	snaps  raft.SnapshotStore
	close  func() error
}

// openStores opens the data folder, or memory for "". A folder in use by
// another process is an error.
func openStores(dir string, log hclog.Logger) (*stores, error) {
	if dir == "" {
		mem := raft.NewInmemStore()
		return &stores{
			id: raft.ServerID(uuid.NewString()), logs: mem, stable: mem,
			snaps: raft.NewInmemSnapshotStore(), close: func() error { return nil },
		}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	db, err := raftboltdb.New(raftboltdb.Options{
		Path: filepath.Join(dir, "raft.db"),
		// bbolt syncs every commit (NoSync stays off). Its free list is rebuilt at
		// the start instead of being written each time, which halves a commit.
		BoltOptions: &bbolt.Options{Timeout: 2 * time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
	})
	if err != nil {
		return nil, fmt.Errorf("DATA: open the Raft log in %s (is another kvstore running on it?): %w", dir, err)
	}
	id, err := nodeID(db)
	if err == nil {
		err = syncFolders(dir)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	snaps, err := raft.NewFileSnapshotStoreWithLogger(dir, 2, log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open snapshots in %s: %w", dir, err), db.Close())
	}
	return &stores{id: id, logs: db, stable: db, snaps: snaps, close: db.Close}, nil
}

// nodeID gives the node's ID, made at its first start. It is kept beside the
// log, so that the two cannot be parted, and stays when the node is renamed.
func nodeID(stable raft.StableStore) (raft.ServerID, error) {
	key := []byte("imagemill-node-id")
	got, err := stable.Get(key)
	if err == nil && len(got) > 0 {
		return raft.ServerID(got), nil
	}
	if err != nil && !errors.Is(err, raftboltdb.ErrKeyNotFound) && !strings.Contains(err.Error(), "not found") {
		return "", fmt.Errorf("read node ID: %w", err)
	}
	id := uuid.NewString()
	if err := stable.Set(key, []byte(id)); err != nil {
		return "", fmt.Errorf("write node ID: %w", err)
	}
	return raft.ServerID(id), nil
}

// syncFolders puts the folder's entries, and its own in its parent, on disk:
// bbolt syncs its file, but a new file whose name is lost is lost with it.
func syncFolders(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there
	}
	for _, path := range []string{dir, filepath.Dir(filepath.Clean(dir))} {
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("sync folder: %w", err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("sync folder %s: %w", path, err)
		}
	}
	return nil
}
