package kvstore

import (
	"bytes"
	"errors"
	"fmt"
)

// single carries out one operation outside a transaction. ok is what the client
// is told: whether the compared index or the lock allowed it.
func (s *stage) single(o Op) (ok bool, err error) {
	switch o.Verb {
	case verbSet:
		s.set(o)
		return true, nil
	case verbCAS:
		_, ok = s.cas(o)
		return ok, nil
	case verbLock:
		_, ok, err = s.lock(o)
		return ok, err
	case verbUnlock:
		_, ok, err = s.unlock(o)
		return ok, err
	case verbDelete:
		if e := s.entry(o.Key); e != nil {
			s.remove(e)
		}
		return true, nil
	case verbDeleteTree:
		s.removeTree(o.Key)
		return true, nil
	case verbDeleteCAS:
		return s.deleteCAS(o), nil
	default:
		return false, fmt.Errorf("unknown KV verb %q", o.Verb)
	}
}

// set writes a value whatever was there. It keeps the session that holds the
// key. As in Consul, it starts the count of locks anew.
func (s *stage) set(o Op) *Entry {
	old := s.entry(o.Key)
	e := &Entry{Key: o.Key, Value: o.Value, Flags: o.Flags}
	if old != nil {
		e.Session = old.Session
	}
	return s.store(old, e)
}

// store gives e its indexes and puts it in place of old, unless they are equal:
// then nothing has changed, and nobody is to be woken.
func (s *stage) store(old, e *Entry) *Entry {
	e.CreateIndex, e.ModifyIndex = s.index, s.index
	if old != nil {
		e.CreateIndex = old.CreateIndex
		if old.LockIndex == e.LockIndex && old.Flags == e.Flags && old.Session == e.Session && bytes.Equal(old.Value, e.Value) {
			return old
		}
	}
	s.put(old, e)
	return e
}

// cas sets if the key's index is the one given; 0 means that there is no key.
func (s *stage) cas(o Op) (*Entry, bool) {
	old := s.entry(o.Key)
	if (old == nil) != (o.Index == 0) || old != nil && old.ModifyIndex != o.Index {
		return nil, false
	}
	return s.set(o), true
}

// deleteCAS deletes if the key's index is the one given; no key at all is fine.
func (s *stage) deleteCAS(o Op) bool {
	e := s.entry(o.Key)
	if e == nil {
		return true
	}
	if e.ModifyIndex != o.Index {
		return false
	}
	s.remove(e)
	return true
}

// errNoSession is Consul's answer to a lock operation without a session.
var errNoSession = errors.New("missing session")

// lock sets the value and makes the session the key's holder. It is refused
// while another session holds the key, and during the lock delay.
func (s *stage) lock(o Op) (*Entry, bool, error) {
	if o.Session == "" {
		return nil, false, errNoSession
	}
	if sessionIn(s.sessions.Root(), o.Session) == nil {
		return nil, false, fmt.Errorf("invalid session %q", o.Session)
	}
	old := s.entry(o.Key)
	e := &Entry{Key: o.Key, Value: o.Value, Flags: o.Flags, Session: o.Session, LockIndex: 1}
	switch {
	case old != nil && old.Session == o.Session:
		e.LockIndex = old.LockIndex
	case old != nil && old.Session != "", s.delayed(o.Key):
		return nil, false, nil
	case old != nil:
		e.LockIndex = old.LockIndex + 1
	}
	return s.store(old, e), true, nil
}

// unlock sets the value and frees the key, if the session holds it.
func (s *stage) unlock(o Op) (*Entry, bool, error) {
	if o.Session == "" {
		return nil, false, errNoSession
	}
	old := s.entry(o.Key)
	if old == nil || old.Session != o.Session {
		return nil, false, nil
	}
	e := &Entry{Key: o.Key, Value: o.Value, Flags: o.Flags, LockIndex: old.LockIndex}
	return s.store(old, e), true, nil
}
