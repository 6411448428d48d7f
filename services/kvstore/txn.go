package kvstore

import "fmt"

// transact carries out operations in order, each seeing those before it. Every
// operation that fails is reported; with any failure the caller drops the stage.
func (s *stage) transact(ops []Op) (results []*Entry, failures []TxnError) {
	if failures = missingKeys(ops); len(failures) > 0 {
		return nil, failures
	}
	for i, o := range ops {
		got, err := s.step(o)
		results = append(results, got...)
		if err != nil {
			failures = append(failures, TxnError{OpIndex: i, What: err.Error()})
		}
	}
	if len(failures) > 0 {
		return nil, failures
	}
	return results, nil
}

// missingKeys reports the operations that need a key and have none. Consul looks
// at nothing else when there are any.
func missingKeys(ops []Op) (failures []TxnError) {
	for i, o := range ops {
		if o.Key == "" && o.Verb != verbDeleteTree {
			failures = append(failures, TxnError{OpIndex: i, What: "Must provide key"})
		}
	}
	return failures
}

// step carries out one operation of a transaction and gives what its answer
// shows: whole entries for reads, entries without value for everything else.
func (s *stage) step(o Op) ([]*Entry, error) {
	switch o.Verb {
	case verbGet, verbGetOrEmpty:
		e := s.entry(o.Key)
		if e == nil && o.Verb == verbGet {
			return nil, fmt.Errorf("key %q doesn't exist", o.Key)
		}
		if e == nil {
			e = &Entry{Key: o.Key, Flags: o.Flags, Session: o.Session, ModifyIndex: o.Index}
		}
		return []*Entry{e}, nil
	case verbGetTree:
		entries, _ := list(s.kv.Root(), o.Key)
		return entries, nil
	case verbDelete, verbDeleteTree, verbDeleteCAS:
		ok, err := s.single(o)
		if err == nil && !ok {
			err = fmt.Errorf("failed to delete key %q, index is stale", o.Key)
		}
		return nil, err
	case verbCheckIndex, verbCheckSession, verbCheckNotExists:
		return s.check(o)
	default:
		return s.change(o)
	}
}

// change carries out the operations that write a value.
func (s *stage) change(o Op) ([]*Entry, error) {
	var e *Entry
	ok, reason := true, ""
	var err error
	switch o.Verb {
	case verbSet:
		e = s.set(o)
	case verbCAS:
		e, ok = s.cas(o)
		reason = "failed to set key %q, index is stale"
	case verbLock:
		held := s.entry(o.Key)
		e, ok, err = s.lock(o)
		reason = "failed to lock key %q, lock is already held"
		if held == nil || held.Session == "" {
			reason = "failed to lock key %q due to lock delay"
		}
	case verbUnlock:
		e, ok, err = s.unlock(o)
		reason = "failed to unlock key %q, lock isn't held, or is held by another session"
	default:
		return nil, fmt.Errorf("unknown KV verb %q", o.Verb)
	}
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf(reason, o.Key)
	}
	return withoutValue(e), nil
}

// check carries out the operations that only compare.
func (s *stage) check(o Op) ([]*Entry, error) {
	e := s.entry(o.Key)
	switch o.Verb {
	case verbCheckNotExists:
		if e != nil {
			return nil, fmt.Errorf("key %q exists", o.Key)
		}
		return nil, nil
	case verbCheckIndex:
		if e == nil {
			return nil, fmt.Errorf("failed to check index, key %q doesn't exist", o.Key)
		}
		if e.ModifyIndex != o.Index {
			return nil, fmt.Errorf("failed index check for key %q, current modify index %d != %d", o.Key, e.ModifyIndex, o.Index)
		}
	default:
		if e == nil {
			return nil, fmt.Errorf("failed to check session, key %q doesn't exist", o.Key)
		}
		if e.Session != o.Session {
			return nil, fmt.Errorf("failed session check for key %q, current session %q != %q", o.Key, e.Session, o.Session)
		}
	}
	return withoutValue(e), nil
}

func withoutValue(e *Entry) []*Entry {
	bare := *e
	bare.Value = nil
	return []*Entry{&bare}
}
