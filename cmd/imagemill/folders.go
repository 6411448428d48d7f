package main

import (
	"fmt"
	"os"
	"path/filepath"

	"imagemill/internal/volume"
	"imagemill/services/kvstore"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
	"imagemill/services/worker"
)

// The folders are tried before anything is opened in them, so that what is wrong
// is said by the name of the setting, and not in a database's words.

func kvstoreFolder(cfg kvstore.Config) error {
	if cfg.DataDir == "" {
		return nil // in memory
	}
	return inService("kvstore", volume.Check("IMAGEMILL_KVSTORE_DATA", cfg.DataDir, "raft.db", "snapshots"))
}

func taskdbFolder(cfg taskdb.Config) error {
	dir, file := filepath.Split(filepath.Clean(cfg.Path))
	return volume.Check("IMAGEMILL_TASKDB_PATH", filepath.Clean(dir), file, file+"-wal", file+"-shm")
}

func storageFolder(cfg storage.Config) error {
	states := []string{string(storage.InProgress), string(storage.Finished), "tmp", "replication"}
	return inService("storage", volume.Check("IMAGEMILL_STORAGE_DATA", cfg.Data, states...))
}

// workerFolder tries where engines put their pictures: in a container with a
// read-only root it has to be mounted.
func workerFolder(cfg worker.Config) error {
	dir := cfg.Scratch
	if dir == "" {
		dir = os.TempDir()
	}
	return inService("worker", volume.Check("IMAGEMILL_WORKER_SCRATCH", dir))
}

func inService(name string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
