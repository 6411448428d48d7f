package kvstore

import (
	"time"

	iradix "github.com/hashicorp/go-immutable-radix"
)

// maxStones is the number of tombstones kept. Beyond it they are all swept into
// the view's floor, which costs each watcher one needless answer.
const maxStones = 1 << 16

// maxDelays is the number of lock delays above which ended ones are looked for.
const maxDelays = 1 << 10

// view is the whole state after some log entry. It is never changed, so readers
// share it without a lock; a write makes the next one.
type view struct {
	kv       *iradix.Tree // key → *Entry
	sessions *iradix.Tree // ID → *Session
	held     *iradix.Tree // heldKey(ID, key) → key, for every key with a session
	delays   *iradix.Tree // key → time.Time until which it cannot be locked
	// stones holds deleted keys, and treeStones prefixes that were deleted whole,
	// each with the index of its end. They keep a prefix's index from falling.
	stones     *iradix.Tree
	treeStones *iradix.Tree
	// floor is the least index of what has no entry: that of the newest
	// tombstone that was swept.
	floor uint64
	// kvIndex and sessionIndex are those of the last change of each kind;
	// applied is that of the last command.
	kvIndex, sessionIndex, applied uint64
}

func emptyView() *view {
	return &view{
		kv: iradix.New(), sessions: iradix.New(), held: iradix.New(), delays: iradix.New(),
		stones: iradix.New(), treeStones: iradix.New(),
	}
}

// stage collects the changes of one command on top of a view. Dropping it is
// the rollback.
type stage struct {
	index uint64
	now   time.Time

	kv, sessions, held, delays, stones, treeStones *iradix.Txn

	floor, kvIndex, sessionIndex uint64
	// keys and ids are the keys and sessions that changed.
	keys, ids []string
}

// begin starts the command at a log index; now is the leader's time of it.
func (v *view) begin(index uint64, now time.Time) *stage {
	return &stage{
		index: index, now: now,
		kv: v.kv.Txn(), sessions: v.sessions.Txn(), held: v.held.Txn(), delays: v.delays.Txn(),
		stones: v.stones.Txn(), treeStones: v.treeStones.Txn(),
		floor: v.floor, kvIndex: v.kvIndex, sessionIndex: v.sessionIndex,
	}
}

// commit gives the view with the changes. The stage is of no use afterwards.
func (s *stage) commit() *view {
	v := &view{
		kv: s.kv.CommitOnly(), sessions: s.sessions.CommitOnly(), held: s.held.CommitOnly(),
		delays: s.delays.CommitOnly(), stones: s.stones.CommitOnly(), treeStones: s.treeStones.CommitOnly(),
		floor: s.floor, kvIndex: s.kvIndex, sessionIndex: s.sessionIndex, applied: s.index,
	}
	if v.stones.Len()+v.treeStones.Len() > maxStones {
		v.floor, v.stones, v.treeStones = v.kvIndex, iradix.New(), iradix.New()
	}
	if v.delays.Len() > maxDelays {
		v.delays = sweepDelays(v.delays, s.now)
	}
	return v
}

// heldKey is where the held tree keeps that a session holds a key. No session
// ID holds a zero byte.
func heldKey(session, key string) []byte { return []byte(session + "\x00" + key) }

func (s *stage) entry(key string) *Entry { return entryIn(s.kv.Root(), key) }

func entryIn(root *iradix.Node, key string) *Entry {
	v, _ := root.Get([]byte(key))
	e, _ := v.(*Entry)
	return e
}

func sessionIn(root *iradix.Node, id string) *Session {
	v, _ := root.Get([]byte(id))
	s, _ := v.(*Session)
	return s
}

// put stores e in place of old, which is nil for a new key.
func (s *stage) put(old, e *Entry) {
	s.kv.Insert([]byte(e.Key), e)
	if old != nil && old.Session != "" && old.Session != e.Session {
		s.held.Delete(heldKey(old.Session, e.Key))
	}
	if e.Session != "" && (old == nil || old.Session != e.Session) {
		s.held.Insert(heldKey(e.Session, e.Key), e.Key)
	}
	s.touch(e.Key)
}

// remove deletes an entry and leaves a tombstone.
func (s *stage) remove(e *Entry) {
	s.unlink(e)
	s.stones.Insert([]byte(e.Key), s.index)
}

func (s *stage) unlink(e *Entry) {
	s.kv.Delete([]byte(e.Key))
	if e.Session != "" {
		s.held.Delete(heldKey(e.Session, e.Key))
	}
	s.touch(e.Key)
}

// removeTree deletes all entries with a prefix and leaves one tombstone for all.
func (s *stage) removeTree(prefix string) {
	entries, _ := list(s.kv.Root(), prefix)
	if len(entries) == 0 {
		return
	}
	for _, e := range entries {
		s.unlink(e)
	}
	for _, stones := range []*iradix.Txn{s.stones, s.treeStones} {
		var below [][]byte
		stones.Root().WalkPrefix([]byte(prefix), func(k []byte, _ any) bool {
			below = append(below, k)
			return false
		})
		for _, k := range below {
			stones.Delete(k)
		}
	}
	s.treeStones.Insert([]byte(prefix), s.index)
}

func (s *stage) touch(key string) {
	s.kvIndex = s.index
	s.keys = append(s.keys, key)
}
