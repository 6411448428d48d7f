package kvstore

import (
	"strings"
	"time"

	iradix "github.com/hashicorp/go-immutable-radix"
)

// create begins a session. The leader has checked it and given it its ID.
func (s *stage) create(in Session) {
	in.CreateIndex, in.ModifyIndex = s.index, s.index
	s.sessions.Insert([]byte(in.ID), &in)
	s.sessionIndex = s.index
	s.ids = append(s.ids, in.ID)
}

// destroy ends a session: what it holds is released or deleted, and cannot be
// locked again before its lock delay has passed. An unknown session is no error.
func (s *stage) destroy(id string) {
	sess := sessionIn(s.sessions.Root(), id)
	if sess == nil {
		return
	}
	s.sessions.Delete([]byte(id))
	s.sessionIndex = s.index
	s.ids = append(s.ids, id)
	for _, key := range s.heldBy(id) {
		old := s.entry(key)
		if old == nil {
			continue
		}
		if sess.Behavior == behaviorDelete {
			s.remove(old)
		} else {
			e := *old
			e.Session = ""
			s.store(old, &e)
		}
		if delay := min(sess.LockDelay, maxLockDelay); delay > 0 {
			s.delays.Insert([]byte(key), s.now.Add(delay))
		}
	}
}

// heldBy gives the keys that a session holds.
func (s *stage) heldBy(id string) (keys []string) {
	s.held.Root().WalkPrefix(heldKey(id, ""), func(_ []byte, val any) bool {
		if key, ok := val.(string); ok {
			keys = append(keys, key)
		}
		return false
	})
	return keys
}

// delayed reports whether a key is within its lock delay, by the clock of the
// leader that wrote the command, so that all nodes come to the same answer.
func (s *stage) delayed(key string) bool {
	v, _ := s.delays.Get([]byte(key))
	until, ok := v.(time.Time)
	if !ok {
		return false
	}
	if s.now.Before(until) {
		return true
	}
	s.delays.Delete([]byte(key))
	return false
}

// sweepDelays gives the delays that have not passed yet at a time.
func sweepDelays(delays *iradix.Tree, now time.Time) *iradix.Tree {
	txn := delays.Txn()
	delays.Root().Walk(func(k []byte, val any) bool {
		if until, ok := val.(time.Time); ok && !now.Before(until) {
			txn.Delete(k)
		}
		return false
	})
	return txn.CommitOnly()
}

// validate checks what a client asks for and completes it; text is Consul's.
func (s *Session) validate(nodeName string, ttlMin time.Duration) error {
	if s.Node == "" {
		return consulError("Must provide Node")
	}
	switch s.Behavior {
	case "":
		s.Behavior = behaviorRelease
	case behaviorRelease, behaviorDelete:
	default:
		return consulError("Invalid Behavior setting '%s'", s.Behavior)
	}
	if s.TTL != "" {
		ttl, err := time.ParseDuration(s.TTL)
		if err != nil {
			return consulError("Session TTL '%s' invalid: %v", s.TTL, err)
		}
		if ttl != 0 && (ttl < ttlMin || ttl > maxSessionTTL) {
			return consulError("Invalid Session TTL '%d', must be between [%v=%v]", ttl, ttlMin, maxSessionTTL)
		}
	}
	if !strings.EqualFold(s.Node, nodeName) {
		return consulError("apply failed: Missing node registration")
	}
	checks := append(append([]string{}, s.NodeChecks...), s.Checks...)
	for _, c := range s.ServiceChecks {
		checks = append(checks, c.ID)
	}
	for _, id := range checks {
		if id != serfCheck {
			return consulError("apply failed: Missing check '%s' registration", id)
		}
	}
	return nil
}
