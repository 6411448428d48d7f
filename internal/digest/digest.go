// Package digest computes SHA-256 beside the copying of what is digested.
package digest

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"
)

// A block is what is handed over at a time; the first one is digested by the
// caller, so that short bodies need neither a goroutine nor a copy.
const (
	blockSize = 128 << 10 // bytes
	blocks    = 4         // in flight
)

var spare = sync.Pool{New: func() any { return new([blockSize]byte) }}

// Writer digests what is written to it on another core, while its caller goes
// on to read and write. Its zero value is not usable; whoever gives up before
// Sum calls Close.
type Writer struct {
	hash   hash.Hash
	direct int // bytes that were digested without a handover

	block  *[blockSize]byte // what is not yet handed over, nil before the first
	filled int
	queue  chan handed
	done   chan struct{}
}

type handed struct {
	block  *[blockSize]byte
	filled int
}

// New begins a digest.
func New() *Writer {
	return &Writer{hash: sha256.New()}
}

// Write implements io.Writer. It keeps nothing of p and does not fail.
func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	if w.direct < blockSize {
		w.direct += n
		return w.hash.Write(p)
	}
	for len(p) > 0 {
		m := copy(w.Room(), p)
		w.Advance(m)
		p = p[m:]
	}
	return n, nil
}

// Room gives a part of the writer's own memory, 128 KiB at most and never none, for
// the caller to fill: Advance digests it without a copy. It is the caller's until
// the next call of any other method.
func (w *Writer) Room() []byte {
	if w.block == nil {
		w.block, w.filled = spare.Get().(*[blockSize]byte), 0
	}
	return w.block[w.filled:]
}

// Advance digests the first n bytes of what Room gave last.
func (w *Writer) Advance(n int) {
	w.direct = blockSize // what is written later comes behind it, not before
	if w.filled += n; w.filled == blockSize {
		w.handOver()
	}
}

func (w *Writer) handOver() {
	if w.queue == nil {
		w.queue, w.done = make(chan handed, blocks), make(chan struct{})
		go w.run()
	}
	w.queue <- handed{w.block, w.filled}
	w.block = nil
}

func (w *Writer) run() {
	defer close(w.done)
	for h := range w.queue {
		w.hash.Write(h.block[:h.filled])
		spare.Put(h.block)
	}
}

// Sum ends the digest and gives its 32 bytes. Nothing may be written after it.
func (w *Writer) Sum() []byte {
	if w.block != nil {
		if w.queue != nil {
			w.handOver()
		} else {
			w.hash.Write(w.block[:w.filled])
		}
	}
	w.Close()
	return w.hash.Sum(nil)
}

// Hex is Sum in lower-case hexadecimal digits.
func (w *Writer) Hex() string { return hex.EncodeToString(w.Sum()) }

// Close gives back what the digest holds. It may be called again, and after Sum.
func (w *Writer) Close() {
	if w.queue != nil {
		close(w.queue)
		<-w.done
		w.queue = nil
	}
	if w.block != nil {
		spare.Put(w.block)
		w.block = nil
	}
}
