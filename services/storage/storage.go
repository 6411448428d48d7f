package storage

import (
	"context"
	"io"
	"time"

	"imagemill/internal/byterange"
)

// State is the half of the store that a blob lies in.
type State string

// The two states, which are also the two folders on disk.
const (
	// InProgress holds originals, before the work.
	InProgress State = "inProgress"
	// Finished holds renditions, after it.
	Finished State = "finished"
)

// Ref names one blob. Key is 1 to MaxKey characters of a-z, 0-9, '.', '_' and
// '-', and starts with a letter or digit (lower case only, so that it means the
// same on every file system; [Ref.Validate] says what else that asks for).
type Ref struct {
	State State
	Key   string
}

// MaxKey bounds the length of a key.
const MaxKey = 200

// Info describes a stored blob.
type Info struct {
	Key    string `json:"key"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // lower-case hex
	// Modified is when the blob was stored; over HTTP, Get and Stat know it to
	// the second only.
	Modified time.Time `json:"modified"`
}

// PutOptions say what the caller knows about the bytes it sends.
type PutOptions struct {
	// SHA256 is the expected digest in lower-case hex, or "" for unknown. What
	// differs is refused with fault.Invalid and leaves nothing behind.
	SHA256 string
	// Size is the expected length in bytes, or -1 for unknown. Shorter or longer
	// is refused with fault.Invalid and leaves nothing behind.
	Size int64
	// Replicas is on how many nodes the blob is to be durable before Put returns, up
	// to MaxReplicas; 0 leaves it to the store. Fewer known nodes are
	// fault.Unavailable before r is read, and so are fewer copies after a bounded
	// wait: the blob stays then, and a repeat is safe. A store that has its copies
	// made by others (an object store), or none (memory), takes no notice.
	Replicas int
}

// Span selects bytes of a blob: a first byte and how many, or the last so many.
type Span = byterange.Span

// Whole selects all of a blob, also of an empty one.
func Whole() Span { return byterange.Whole() }

// Object is an open blob. Close Body after use.
type Object struct {
	Info
	// Offset and Length are what Body gives of the blob, in bytes.
	Offset, Length int64
	// Body fails with an error, rather than ending, where the blob is damaged or
	// the connection breaks: only io.EOF after Length bytes means all was well.
	Body io.ReadCloser
}

// Unchecked is what a [Store] may have beside its methods: a Get for callers
// that compute the digest of what arrives themselves, which then need not be
// computed twice.
type Unchecked interface {
	// GetUnchecked opens the whole of a blob like Get, but its bytes need not have
	// been compared with the digest in Info: that is the caller's to do. A caller that
	// finds a difference asks Get, whose error says where the damage was done.
	GetUnchecked(ctx context.Context, ref Ref) (Object, error)
}

// GetUnchecked is s.GetUnchecked, or s.Get where s has no such method.
func GetUnchecked(ctx context.Context, s Store, ref Ref) (Object, error) {
	if u, ok := s.(Unchecked); ok {
		return u.GetUnchecked(ctx, ref)
	}
	return s.Get(ctx, ref, Whole())
}

// Page is one page of a list, in rising order of key.
type Page struct {
	Blobs []Info `json:"blobs"`
	// Next is the cursor of the next page, empty on the last one.
	Next string `json:"next,omitempty"`
	// Now is the store's own clock, by which the age of a blob is judged: the
	// caller's may be wrong. Zero from a store that does not say; judge nothing then.
	Now time.Time `json:"now,omitzero"`
}

// MaxPage bounds the blobs of one page; a limit of 0 means 100.
const MaxPage = 1000

const defaultPage = 100

// Store keeps blobs. All methods are safe for concurrent use. A malformed
// state, key, span or limit is fault.Invalid, a missing blob fault.NotFound, a
// store that cannot be reached fault.Unavailable, a full disk fault.StorageFull.
type Store interface {
	// Put stores all of r under ref, durably, and gives what it stored. It replaces
	// what was there, atomically. If r, or the disk, fails, nothing changes; the
	// error wraps r's own. Put does not touch r after it has returned. A negative
	// opt.Size means unknown, so the zero PutOptions announce an empty blob.
	Put(ctx context.Context, ref Ref, r io.Reader, opt PutOptions) (Info, error)
	// Get opens a blob at a span. A span that starts at or beyond the end (and is
	// not Whole) is fault.Range. A blob found damaged before its first byte is
	// given out is fault.Internal; one found later ends the body with an error
	// before its last byte.
	Get(ctx context.Context, ref Ref, span Span) (Object, error)
	// Stat describes a blob without opening it. SHA256 is always set.
	Stat(ctx context.Context, ref Ref) (Info, error)
	// Delete removes a blob durably. A missing one is no error: a repeat is safe.
	Delete(ctx context.Context, ref Ref) error
	// List gives the blobs of a state with keys above after ("" for the first), at
	// most limit (0: 100, at most MaxPage). SHA256 may be left empty. A walk from ""
	// gives every blob that was there all the while. It is no feed of what is new:
	// keys are made by others' clocks and may lie below a cursor that has passed.
	List(ctx context.Context, state State, after string, limit int) (Page, error)
}
