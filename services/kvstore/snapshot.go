package kvstore

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	iradix "github.com/hashicorp/go-immutable-radix"
	"github.com/hashicorp/raft"
)

// A snapshot is a header and then one length-prefixed record after the other:
// a kind byte and its fields. The last record is the end mark, so that a file
// that was cut off is noticed.
const snapshotHeader = "imagemill kvstore 1\n"

const (
	recordIndexes   = 'i'
	recordEntry     = 'e'
	recordSession   = 's'
	recordStone     = 't'
	recordTreeStone = 'T'
	recordDelay     = 'd'
	recordEnd       = 'z'
)

// maxRecord bounds one record: an entry of the largest value, with room.
const maxRecord = 4 << 20

// Persist writes the view to Raft's snapshot store.
func (v *view) Persist(sink raft.SnapshotSink) error {
	err := v.write(sink)
	if err != nil {
		return errors.Join(fmt.Errorf("write snapshot: %w", err), sink.Cancel())
	}
	return sink.Close()
}

// Release does nothing: a view holds no resources.
func (v *view) Release() {}

func (v *view) write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	_, err := out.WriteString(snapshotHeader)
	record := func(b []byte) bool {
		if err == nil {
			_, err = out.Write(binary.AppendUvarint(nil, uint64(len(b))))
		}
		if err == nil {
			_, err = out.Write(b)
		}
		return err != nil
	}
	b := []byte{recordIndexes}
	for _, ix := range []uint64{v.kvIndex, v.sessionIndex, v.floor, v.applied} {
		b = binary.AppendUvarint(b, ix)
	}
	record(b)
	v.kv.Root().Walk(func(_ []byte, val any) bool {
		return record(appendEntry([]byte{recordEntry}, val.(*Entry)))
	})
	v.sessions.Root().Walk(func(_ []byte, val any) bool {
		text, jerr := json.Marshal(val)
		err = errors.Join(err, jerr)
		return record(append([]byte{recordSession}, text...))
	})
	stones := func(kind byte, tree *iradix.Tree) {
		tree.Root().Walk(func(k []byte, val any) bool {
			return record(binary.AppendUvarint(appendString([]byte{kind}, k), val.(uint64)))
		})
	}
	stones(recordStone, v.stones)
	stones(recordTreeStone, v.treeStones)
	v.delays.Root().Walk(func(k []byte, val any) bool {
		return record(binary.AppendVarint(appendString([]byte{recordDelay}, k), val.(time.Time).UnixNano()))
	})
	record([]byte{recordEnd})
	if err != nil {
		return err
	}
	return out.Flush()
}

func appendEntry(b []byte, e *Entry) []byte {
	b = appendString(b, e.Key)
	b = appendString(b, e.Value)
	b = appendString(b, e.Session)
	for _, n := range []uint64{e.Flags, e.LockIndex, e.CreateIndex, e.ModifyIndex} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// errSnapshot is wrapped by what readSnapshot returns for bytes that are none.
var errSnapshot = errors.New("malformed snapshot")

// readSnapshot makes the view that write has written.
func readSnapshot(from io.Reader) (*view, error) {
	in := bufio.NewReaderSize(from, 64<<10)
	header := make([]byte, len(snapshotHeader))
	if _, err := io.ReadFull(in, header); err != nil || string(header) != snapshotHeader {
		return nil, fmt.Errorf("%w: header", errSnapshot)
	}
	l := emptyView().begin(0, time.Time{})
	v := &view{}
	for {
		size, err := binary.ReadUvarint(in)
		if err != nil || size == 0 || size > maxRecord {
			return nil, fmt.Errorf("%w: record of %d bytes", errSnapshot, size)
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(in, b); err != nil {
			return nil, fmt.Errorf("read snapshot record: %w", err)
		}
		if b[0] == recordEnd {
			break
		}
		if err := l.load(v, b[0], &reader{b: b[1:]}); err != nil {
			return nil, err
		}
	}
	full := l.commit()
	full.kvIndex, full.sessionIndex, full.floor, full.applied = v.kvIndex, v.sessionIndex, v.floor, v.applied
	return full, nil
}

// load takes in one record: indexes into v, everything else into the stage.
func (s *stage) load(v *view, kind byte, r *reader) error {
	switch kind {
	case recordIndexes:
		v.kvIndex, v.sessionIndex, v.floor, v.applied = r.uvarint(), r.uvarint(), r.uvarint(), r.uvarint()
	case recordEntry:
		s.put(nil, &Entry{
			Key: string(r.bytes()), Value: emptyToNil(r.bytes()), Session: string(r.bytes()),
			Flags: r.uvarint(), LockIndex: r.uvarint(), CreateIndex: r.uvarint(), ModifyIndex: r.uvarint(),
		})
	case recordSession:
		sess := &Session{}
		if err := json.Unmarshal(r.b, sess); err != nil {
			return fmt.Errorf("%w: session: %w", errSnapshot, err)
		}
		s.sessions.Insert([]byte(sess.ID), sess)
	case recordStone:
		s.stones.Insert(r.bytes(), r.uvarint())
	case recordTreeStone:
		s.treeStones.Insert(r.bytes(), r.uvarint())
	case recordDelay:
		s.delays.Insert(r.bytes(), time.Unix(0, r.varint()))
	default:
		return fmt.Errorf("%w: record kind %q", errSnapshot, kind)
	}
	if r.failed {
		return fmt.Errorf("%w: record kind %q is short", errSnapshot, kind)
	}
	return nil
}
