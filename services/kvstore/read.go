package kvstore

import (
	"bytes"
	"strings"

	iradix "github.com/hashicorp/go-immutable-radix"
)

// indexes of one reading. A blocking query ends when changed has passed the
// client's index; what the client is told, and will ask with again, is reported.
// They differ where there is nothing to show: Consul reports the whole table's
// index then, but a change elsewhere is no reason to wake anybody.
type indexes struct{ reported, changed uint64 }

// get gives an entry, nil if there is none.
func (v *view) get(key string) (*Entry, indexes) {
	if e := entryIn(v.kv.Root(), key); e != nil {
		return e, indexes{e.ModifyIndex, e.ModifyIndex}
	}
	changed := max(v.floor, stoneAt(v.stones.Root(), key), stoneAbove(v.treeStones.Root(), key))
	return nil, indexes{v.kvIndex, changed}
}

// list gives all entries with a prefix, in the order of their bytes.
func (v *view) list(prefix string) ([]*Entry, indexes) {
	entries, newest := list(v.kv.Root(), prefix)
	if prefix == "" {
		return entries, indexes{v.kvIndex, v.kvIndex}
	}
	newest = max(newest, newestStone(v.stones.Root(), prefix), newestStone(v.treeStones.Root(), prefix))
	changed := max(newest, v.floor, stoneAbove(v.treeStones.Root(), prefix))
	if newest == 0 {
		return entries, indexes{v.kvIndex, changed}
	}
	return entries, indexes{changed, changed}
}

// keys gives the names of all entries with a prefix; with a separator, each is
// cut after the first one behind the prefix, and given once.
func (v *view) keys(prefix, separator string) ([]string, indexes) {
	entries, ix := v.list(prefix)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		name := e.Key
		if separator != "" {
			if i := strings.Index(name[len(prefix):], separator); i >= 0 {
				name = name[:len(prefix)+i+len(separator)]
			}
		}
		// Entries are ordered, so equal cuts follow each other.
		if n := len(names); separator == "" || n == 0 || names[n-1] != name {
			names = append(names, name)
		}
	}
	return names, ix
}

// session gives a session, nil if there is none.
func (v *view) session(id string) *Session { return sessionIn(v.sessions.Root(), id) }

// allSessions gives the sessions of a node, or all for "", by ID.
func (v *view) allSessions(node string) []*Session {
	out := make([]*Session, 0, v.sessions.Len())
	v.sessions.Root().Walk(func(_ []byte, val any) bool {
		if s, ok := val.(*Session); ok && (node == "" || strings.EqualFold(s.Node, node)) {
			out = append(out, s)
		}
		return false
	})
	return out
}

// list walks a prefix and also gives the newest ModifyIndex below it.
func list(root *iradix.Node, prefix string) (entries []*Entry, newest uint64) {
	root.WalkPrefix([]byte(prefix), func(_ []byte, val any) bool {
		if e, ok := val.(*Entry); ok {
			entries = append(entries, e)
			newest = max(newest, e.ModifyIndex)
		}
		return false
	})
	return entries, newest
}

func stoneAt(root *iradix.Node, key string) uint64 {
	v, _ := root.Get([]byte(key))
	ix, _ := v.(uint64)
	return ix
}

// stoneAbove gives the newest tombstone among the prefixes of key, key included.
func stoneAbove(root *iradix.Node, key string) (newest uint64) {
	k := []byte(key)
	root.WalkPath(k, func(at []byte, val any) bool {
		if ix, ok := val.(uint64); ok && bytes.HasPrefix(k, at) {
			newest = max(newest, ix)
		}
		return false
	})
	return newest
}

// newestStone gives the newest tombstone below a prefix.
func newestStone(root *iradix.Node, prefix string) (newest uint64) {
	root.WalkPrefix([]byte(prefix), func(_ []byte, val any) bool {
		if ix, ok := val.(uint64); ok {
			newest = max(newest, ix)
		}
		return false
	})
	return newest
}
