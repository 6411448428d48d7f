package kvstore

import (
	"context"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"

	"imagemill/internal/volume"
)

// patientRetry is the pause between tries of a write that Raft cannot do without.
const patientRetry = 250 * time.Millisecond

// patientStable waits for a disk that fails instead of passing the error on,
// where Raft would end the process: it panics when a term cannot be saved, and a
// full disk must not take the registry away for longer than it is full. While it
// waits, this node leads nothing and answers "No cluster leader".
type patientStable struct {
	raft.StableStore
	ctx   context.Context //nolint:containedctx // of the node's run; ends the wait
	log   *slog.Logger
	space *volume.Room
}

// SetUint64 returns when the value is stored, or, without it, when the node
// stops: then nothing rests on it any more, since the vote that follows is not
// stored either, and a node without its own vote writes nothing.
func (s *patientStable) SetUint64(key []byte, value uint64) error {
	told := false
	for {
		err := s.StableStore.SetUint64(key, value)
		if err == nil {
			return nil
		}
		if volume.IsFull(err) {
			s.space.Refused(err)
		} else if !told {
			s.log.Error("the registry's Raft log cannot be written; tried again until it can", "error", err)
			told = true
		}
		t := time.NewTimer(patientRetry)
		select {
		case <-t.C:
		case <-s.ctx.Done():
			t.Stop()
			return nil
		}
	}
}

// Set gives the error to Raft, which copes; but not a success that would make a
// vote of a term that was not stored.
func (s *patientStable) Set(key, value []byte) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	return s.StableStore.Set(key, value)
}

// notedLogs tells the room how writes to the log went.
type notedLogs struct {
	raft.LogStore
	space *volume.Room
}

// StoreLog stores one entry.
func (s *notedLogs) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs stores all entries or none.
func (s *notedLogs) StoreLogs(logs []*raft.Log) error {
	err := s.LogStore.StoreLogs(logs)
	switch {
	case err == nil:
		s.space.Written()
	case volume.IsFull(err):
		s.space.Refused(err)
	}
	return err
}
