package kvstore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// commandVersion is the first byte of every log entry. A node refuses a version
// it does not know rather than guess.
const commandVersion = 1

// What a command does.
const (
	commandKV      = 1 // one operation, answered by true or false
	commandTxn     = 2 // operations that all succeed or leave no trace
	commandCreate  = 3 // a session begins
	commandDestroy = 4 // sessions end
)

// command is one Raft log entry. All that is not deterministic (the time, new
// IDs) is decided by the leader and travels inside.
type command struct {
	kind    byte
	now     time.Time
	ops     []Op
	session *Session
	ids     []string
}

// errCommand is wrapped by what decode returns for bytes that are no command.
var errCommand = errors.New("malformed command")

// encode gives the command's bytes.
func (c *command) encode() ([]byte, error) {
	size := 64
	for _, o := range c.ops {
		size += 64 + len(o.Key) + len(o.Value)
	}
	b := append(make([]byte, 0, size), commandVersion, c.kind)
	b = binary.AppendVarint(b, c.now.UnixNano())
	b = binary.AppendUvarint(b, uint64(len(c.ops)))
	for _, o := range c.ops {
		b = appendString(b, string(o.Verb))
		b = appendString(b, o.Key)
		b = appendString(b, o.Value)
		b = binary.AppendUvarint(b, o.Flags)
		b = binary.AppendUvarint(b, o.Index)
		b = appendString(b, o.Session)
	}
	b = binary.AppendUvarint(b, uint64(len(c.ids)))
	for _, id := range c.ids {
		b = appendString(b, id)
	}
	if c.session == nil {
		return appendString(b, ""), nil
	}
	sess, err := json.Marshal(c.session)
	if err != nil {
		return nil, fmt.Errorf("encode session %s: %w", c.session.ID, err)
	}
	return appendString(b, sess), nil
}

// decodeCommand reads what encode has written. Values share data's memory.
func decodeCommand(data []byte) (*command, error) {
	if len(data) < 2 || data[0] != commandVersion {
		return nil, fmt.Errorf("%w: version", errCommand)
	}
	r := &reader{b: data[2:]}
	c := &command{kind: data[1], now: time.Unix(0, r.varint())}
	for n := r.count(6); n > 0; n-- {
		c.ops = append(c.ops, Op{
			Verb: Verb(r.bytes()), Key: string(r.bytes()), Value: emptyToNil(r.bytes()),
			Flags: r.uvarint(), Index: r.uvarint(), Session: string(r.bytes()),
		})
	}
	for n := r.count(1); n > 0; n-- {
		c.ids = append(c.ids, string(r.bytes()))
	}
	if sess := r.bytes(); len(sess) > 0 {
		c.session = &Session{}
		if err := json.Unmarshal(sess, c.session); err != nil {
			return nil, fmt.Errorf("%w: session: %w", errCommand, err)
		}
	}
	if r.failed || len(r.b) > 0 {
		return nil, fmt.Errorf("%w: length", errCommand)
	}
	return c, nil
}

func appendString[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func emptyToNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// reader takes fields off a byte slice; after the first that does not fit it
// gives zero values only, and failed tells.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) advance(n int) {
	if n <= 0 {
		r.failed, r.b = true, nil
		return
	}
	r.b = r.b[n:]
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.advance(n)
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	r.advance(n)
	return v
}

// count reads the length of a list whose items take at least size bytes each.
func (r *reader) count(size uint64) uint64 {
	n := r.uvarint()
	if n > uint64(len(r.b))/size {
		r.failed, r.b = true, nil
		return 0
	}
	return n
}

func (r *reader) bytes() []byte {
	n := r.count(1)
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s
}
