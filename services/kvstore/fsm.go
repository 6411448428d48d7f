package kvstore

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// outcome is what the state machine answers a command with.
type outcome struct {
	ok       bool
	err      error
	results  []*Entry
	failures []TxnError
}

// fsm is Raft's state machine: it turns committed commands into views and wakes
// those who wait. Only Raft's own goroutine calls its methods but current.
type fsm struct {
	view     atomic.Pointer[view]
	kv       hub
	sessions hub
}

func newFSM() *fsm {
	f := &fsm{}
	f.view.Store(emptyView())
	return f
}

// current gives the newest view.
func (f *fsm) current() *view { return f.view.Load() }

// Apply carries out one command.
func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch carries out commands that were committed together. Readers see
// them all at once, and watchers are woken once.
func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	v := f.current()
	answers := make([]any, len(logs))
	var keys, ids []string
	for i, l := range logs {
		if l.Type != raft.LogCommand {
			continue
		}
		var s *stage
		s, answers[i] = carryOut(v, l)
		if s == nil {
			continue
		}
		keys, ids = append(keys, s.keys...), append(ids, s.ids...)
		v = s.commit()
	}
	f.view.Store(v)
	f.kv.wake(keys)
	f.sessions.wake(ids)
	return answers
}

// carryOut applies one log entry to a view. A nil stage leaves the view as it
// is: the command was refused, and whatever it did is dropped.
func carryOut(v *view, l *raft.Log) (*stage, *outcome) {
	c, err := decodeCommand(l.Data)
	if err != nil {
		return nil, &outcome{err: fmt.Errorf("apply log entry %d: %w", l.Index, err)}
	}
	s := v.begin(l.Index, c.now)
	out := &outcome{ok: true}
	switch {
	case c.kind == commandKV && len(c.ops) == 1:
		out.ok, out.err = s.single(c.ops[0])
	case c.kind == commandTxn:
		out.results, out.failures = s.transact(c.ops)
		out.ok = len(out.failures) == 0
	case c.kind == commandCreate && c.session != nil:
		s.create(*c.session)
	case c.kind == commandDestroy:
		for _, id := range c.ids {
			s.destroy(id)
		}
	default:
		out.err = fmt.Errorf("apply log entry %d: %w: kind %d", l.Index, errCommand, c.kind)
	}
	if out.err != nil || !out.ok {
		return nil, out
	}
	return s, out
}

// Snapshot gives the state to be written; that is only a pointer.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) { return f.current(), nil }

// errOlder is returned for a snapshot of a state that has been passed.
var errOlder = errors.New("the snapshot is older than the state")

// Restore replaces the state and wakes all who wait. It never goes back: what was
// committed stays so, and Raft itself does not look whether a snapshot that comes
// late has been overtaken.
func (f *fsm) Restore(r io.ReadCloser) error {
	v, err := readSnapshot(r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	if now := f.current(); v.applied < now.applied {
		return fmt.Errorf("restore snapshot: %w: of index %d, after %d", errOlder, v.applied, now.applied)
	}
	f.view.Store(v)
	f.kv.wakeAll()
	f.sessions.wakeAll()
	return nil
}
