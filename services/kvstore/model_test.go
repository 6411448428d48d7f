package kvstore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// machine drives a state machine without Raft, and beside it a model: a plain
// map with the semantics written down a second time, as simply as can be.
type machine struct {
	t      *testing.T
	rnd    *rand.Rand
	fsm    *fsm
	index  uint64
	now    time.Time
	kv     map[string]Entry
	alive  map[string]string // session → behaviour
	delays map[string]time.Time
	// treeGone says that the last command deleted a tree. Its one tombstone also
	// moves the index of empty prefixes within, which wakes nobody.
	treeGone bool
}

const modelDelay = 3 * time.Second

var _ raft.BatchingFSM = (*fsm)(nil)

func (m *machine) apply(c command) *outcome {
	m.t.Helper()
	m.index += 1 + m.rnd.Uint64N(3)
	c.now = m.now
	b, err := c.encode()
	require.NoError(m.t, err)
	out, ok := m.fsm.Apply(&raft.Log{Index: m.index, Type: raft.LogCommand, Data: b}).(*outcome)
	require.True(m.t, ok)
	return out
}

func (m *machine) pick(from ...string) string { return from[m.rnd.IntN(len(from))] }

func (m *machine) key() string {
	return m.pick("", "a/", "a/b", "b") + m.pick("x", "y", "/", "", "c/d") + m.pick("", "1")
}

func (m *machine) session() string {
	ids := []string{"nobody"}
	for id := range m.alive {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return m.pick(ids...)
}

// step carries out one random command on both and compares the answers.
func (m *machine) step() {
	m.treeGone = false
	m.now = m.now.Add(time.Duration(m.rnd.Int64N(int64(time.Second))))
	switch n := m.rnd.IntN(20); {
	case n == 0:
		id := fmt.Sprintf("s%d", m.index)
		behavior := m.pick(behaviorDelete, behaviorRelease)
		m.alive[id] = behavior
		m.apply(command{kind: commandCreate, session: &Session{ID: id, Behavior: behavior, LockDelay: modelDelay}})
	case n == 1:
		id := m.session()
		m.apply(command{kind: commandDestroy, ids: []string{id}})
		m.destroy(id)
	case n == 2:
		m.restore()
	default:
		m.operate()
	}
}

func (m *machine) operate() {
	o := Op{Key: m.key(), Flags: m.rnd.Uint64N(2), Value: emptyToNil([]byte(m.pick("", "v", "w")))}
	o.Verb = Verb(m.pick("set", "set", "cas", "lock", "lock", "unlock", "delete", "delete-cas", "delete-tree"))
	if o.Verb == verbLock || o.Verb == verbUnlock {
		o.Session = m.session()
	}
	if old, ok := m.kv[o.Key]; ok && m.rnd.IntN(3) > 0 {
		o.Index = old.ModifyIndex
	}
	if o.Verb == verbDeleteTree && m.rnd.IntN(4) > 0 {
		o.Verb = verbDelete // whole trees only now and then, or nothing ever grows
	}
	m.treeGone = o.Verb == verbDeleteTree
	out := m.apply(command{kind: commandKV, ops: []Op{o}})
	want := m.expect(o)
	require.Equal(m.t, want, out.ok && out.err == nil, "%+v", o)
}

// expect is the model of an operation.
func (m *machine) expect(o Op) bool {
	old, exists := m.kv[o.Key]
	e := Entry{Key: o.Key, Value: o.Value, Flags: o.Flags}
	switch o.Verb {
	case verbSet:
		e.Session = old.Session
	case verbCAS:
		if exists != (o.Index != 0) || exists && old.ModifyIndex != o.Index {
			return false
		}
		e.Session = old.Session
	case verbLock:
		if m.alive[o.Session] == "" || old.Session != "" && old.Session != o.Session {
			return false
		}
		if old.Session == "" && m.now.Before(m.delays[o.Key]) {
			return false
		}
		e.Session, e.LockIndex = o.Session, old.LockIndex
		if old.Session == "" {
			e.LockIndex++
		}
	case verbUnlock:
		if o.Session == "" || !exists || old.Session != o.Session {
			return false
		}
		e.LockIndex = old.LockIndex
	default:
		return m.expectDelete(o)
	}
	m.write(e)
	return true
}

func (m *machine) expectDelete(o Op) bool {
	old, exists := m.kv[o.Key]
	if o.Verb == verbDeleteCAS && exists && old.ModifyIndex != o.Index {
		return false
	}
	for k := range m.kv {
		if k == o.Key || o.Verb == verbDeleteTree && strings.HasPrefix(k, o.Key) {
			delete(m.kv, k)
		}
	}
	return true
}

func (m *machine) write(e Entry) {
	old, exists := m.kv[e.Key]
	e.CreateIndex, e.ModifyIndex = m.index, m.index
	if exists {
		e.CreateIndex = old.CreateIndex
		same := e
		same.ModifyIndex = old.ModifyIndex
		if fmt.Sprint(same) == fmt.Sprint(old) {
			return
		}
	}
	m.kv[e.Key] = e
}

func (m *machine) destroy(id string) {
	for k, e := range m.kv {
		if e.Session != id {
			continue
		}
		if m.alive[id] == behaviorDelete {
			delete(m.kv, k)
		} else {
			e.Session = ""
			m.write(e)
		}
		m.delays[k] = m.now.Add(modelDelay)
	}
	delete(m.alive, id)
}

// restore replaces the state machine by one that was read from a snapshot.
func (m *machine) restore() {
	var b bytes.Buffer
	require.NoError(m.t, m.fsm.current().write(&b))
	fresh := newFSM()
	require.NoError(m.t, fresh.Restore(readCloser{&b}))
	m.fsm = fresh
}

func TestStateMachineNeverGoesBack(t *testing.T) {
	f := newFSM()
	put := func(index uint64, key string) {
		data, err := (&command{kind: commandKV, now: time.Unix(1, 0), ops: []Op{{Verb: verbSet, Key: key}}}).encode()
		require.NoError(t, err)
		f.Apply(&raft.Log{Index: index, Type: raft.LogCommand, Data: data})
	}
	put(3, "a")
	before := image(t, f.current())
	put(4, "b")
	after := image(t, f.current())
	require.ErrorIs(t, f.Restore(readCloser{bytes.NewBuffer(before)}), errOlder)
	require.Equal(t, after, image(t, f.current()))
	require.NoError(t, f.Restore(readCloser{bytes.NewBuffer(after)}), "the same state again does no harm")
	require.Equal(t, after, image(t, f.current()))
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

// content is all that a client sees below a prefix, and its indexes.
func (m *machine) content(prefix string) (string, indexes) {
	entries, ix := m.fsm.current().list(prefix)
	var b strings.Builder
	for _, e := range entries {
		require.Equal(m.t, m.kv[e.Key], *e)
		fmt.Fprintln(&b, *e)
	}
	want := 0
	for k := range m.kv {
		if strings.HasPrefix(k, prefix) {
			want++
		}
	}
	require.Len(m.t, entries, want, "below %q", prefix)
	return b.String(), ix
}

// The state machine does what the model does; a prefix's index moves exactly
// when something below it has changed, and never falls, over deletes, expiry
// and snapshots.
func TestStateMachineAgainstModel(t *testing.T) {
	prefixes := []string{"", "a", "a/", "a/b", "a/bc", "b", "bx", "c/", "zz", "a/x1"}
	for seed := range uint64(30) {
		m := &machine{
			t: t, rnd: rand.New(rand.NewPCG(seed, 1)), fsm: newFSM(), index: 2, now: sometime(),
			kv: map[string]Entry{}, alive: map[string]string{}, delays: map[string]time.Time{},
		}
		type seen struct {
			content string
			ix      indexes
		}
		before := map[string]seen{}
		for range 400 {
			m.step()
			for _, p := range prefixes {
				content, ix := m.content(p)
				was := before[p]
				require.GreaterOrEqual(t, ix.reported, was.ix.reported, "seed %d: reported index of %q fell", seed, p)
				require.GreaterOrEqual(t, ix.reported, ix.changed)
				if content != was.content {
					require.Equal(t, m.index, ix.changed, "seed %d: index of %q did not move", seed, p)
				} else if !m.treeGone {
					require.Equal(t, was.ix.changed, ix.changed, "seed %d: index of %q moved for nothing", seed, p)
				}
				before[p] = seen{content, ix}
			}
			m.checkHeld()
		}
	}
}

// checkHeld compares what sessions hold with what the entries say.
func (m *machine) checkHeld() {
	v := m.fsm.current()
	want := 0
	for k, e := range m.kv {
		if e.Session != "" {
			want++
			_, ok := v.held.Get(heldKey(e.Session, k))
			require.True(m.t, ok)
		}
		got, ix := v.get(k)
		require.Equal(m.t, e, *got)
		require.Equal(m.t, e.ModifyIndex, ix.reported)
	}
	require.Equal(m.t, want, v.held.Len())
}

// A single missing key's index moves when it is deleted, alone or in a tree.
func TestIndexOfAMissingKey(t *testing.T) {
	v := emptyView()
	at := func(index uint64, change func(*stage)) {
		s := v.begin(index, sometime())
		change(s)
		v = s.commit()
	}
	changed := func(key string) uint64 {
		e, ix := v.get(key)
		require.Nil(t, e)
		return ix.changed
	}
	require.Zero(t, changed("a/b"))
	at(5, func(s *stage) { s.set(Op{Key: "a/b"}) })
	at(6, func(s *stage) { s.set(Op{Key: "other"}) })
	at(7, func(s *stage) { s.remove(s.entry("a/b")) })
	require.EqualValues(t, 7, changed("a/b"))
	require.Zero(t, changed("a/bb"))
	at(8, func(s *stage) { s.set(Op{Key: "a/c"}) })
	at(9, func(s *stage) { s.removeTree("a/") })
	require.EqualValues(t, 9, changed("a/c"))
	require.EqualValues(t, 9, changed("a/b"), "the tree's tombstone stands for those below it")
	require.Equal(t, 1, v.stones.Len()+v.treeStones.Len())
	at(10, func(s *stage) { s.removeTree("a/") })
	require.EqualValues(t, 9, changed("a/c"), "deleting nothing changes nothing")
}

// However much is deleted, tombstones stay bounded, and no index falls.
func TestTombstonesAreSwept(t *testing.T) {
	v := emptyView()
	index := uint64(1)
	change := func(f func(*stage)) {
		index++
		s := v.begin(index, sometime())
		f(s)
		v = s.commit()
	}
	change(func(s *stage) { s.set(Op{Key: "early"}) })
	change(func(s *stage) { s.remove(s.entry("early")) })
	for i := range maxStones {
		key := fmt.Sprintf("k%d", i)
		change(func(s *stage) { s.remove(s.set(Op{Key: key})) })
		require.LessOrEqual(t, v.stones.Len(), maxStones)
	}
	require.Less(t, v.stones.Len(), 10)
	require.Positive(t, v.floor)
	_, ix := v.get("early")
	require.Equal(t, v.floor, ix.changed)
	_, ix = v.list("early")
	require.GreaterOrEqual(t, ix.reported, v.floor)
}

// Lock delays that have passed are forgotten once there are many.
func TestDelaysAreSwept(t *testing.T) {
	v := emptyView()
	s := v.begin(1, sometime())
	for i := range maxDelays + 10 {
		s.delays.Insert(fmt.Appendf(nil, "k%d", i), sometime().Add(time.Duration(i)))
	}
	s.now = sometime().Add(maxDelays)
	require.Equal(t, 9, s.commit().delays.Len())
}

func TestStateMachineRefusesGarbage(t *testing.T) {
	f := newFSM()
	before := f.current()
	for _, data := range [][]byte{nil, {9, 9}, {commandVersion, commandKV}, {commandVersion, 77, 0, 0, 0, 0}} {
		out, ok := f.Apply(&raft.Log{Index: 3, Type: raft.LogCommand, Data: data}).(*outcome)
		require.True(t, ok)
		require.ErrorIs(t, out.err, errCommand)
	}
	require.Nil(t, f.Apply(&raft.Log{Index: 4, Type: raft.LogConfiguration}))
	require.Equal(t, before, f.current())
	require.Error(t, f.Restore(readCloser{bytes.NewBufferString("nonsense")}))
	require.Equal(t, before, f.current(), "a damaged snapshot replaces nothing")
}
