package storage

import (
	"context"
	"errors"
	"io"
)

// Keeper is a Store that somebody can lean on who writes down what it holds. Its
// Get, Put and Delete are those of the Store; errors are as there.
type Keeper interface {
	Store
	// Keep is Put with hooks. Where a hook says ErrNotWanted, that is the error, and
	// the Info is that of what arrived.
	Keep(ctx context.Context, ref Ref, r io.Reader, opt PutOptions, h Hooks) (Info, error)
	// Remove is Delete. before, where it is not nil, is called while nobody else can
	// change the blob; what it returns ends the call, with nothing removed, and
	// ErrNotWanted is then no error of Remove's.
	Remove(ctx context.Context, ref Ref, before func(old Old) error) error
	// Held is Stat, with the stamp.
	Held(ctx context.Context, ref Ref) (Held, error)
	// GetStamped is GetUnchecked, with the stamp.
	GetStamped(ctx context.Context, ref Ref) (Object, int64, error)
	// Verify reads all of a blob and compares it with its digest, whatever its size.
	// wait, if not nil, is called before each piece of n bytes is read.
	Verify(ctx context.Context, ref Ref, wait func(ctx context.Context, n int) error) error
	// Walk calls each with all keys of a state that are there all the while, in no
	// order, until it returns an error, which Walk returns.
	Walk(ctx context.Context, state State, each func(key string) error) error
	// Damaged tells whether an error that came of reading a blob says that its bytes
	// are not what was put, or that the disk does not give them any more.
	Damaged(err error) bool
	// Dir is the folder of the blobs, beside which others may have folders.
	Dir() string
}

// ErrNotWanted is for Hooks.Admit, and for what is called before a removal, to
// return: nothing changes then, and the disk did not fail.
var ErrNotWanted = errors.New("the change is not wanted")

// Held is a blob as it lies on the disk.
type Held struct {
	Info
	// Stamp is the one that Hooks gave it, or of a blob without one, the time at
	// which it was written, in nanoseconds since 1970.
	Stamp int64
}

// Old is what a change meets: Held if Err is nil, else why there is none:
// fault.NotFound, or footer.ErrDamaged.
type Old struct {
	Held
	Err error
}

// Hooks let somebody decide on a change of one blob, and write it down, while
// nobody else changes that blob. Each may be nil.
type Hooks struct {
	// Stamp gives the stamp of the blob, once all of its bytes have arrived.
	Stamp func() int64
	// Admit is called before the blob gets its place. An error ends the Put with it.
	Admit func(now Held) error
	// Replace is called where something has the blob's place, or may have it. An error
	// ends the Put with it.
	Replace func(old Old, now Held) error
	// Done is called when the blob is in place and durable; replaced says that it may
	// have had the place of another. An error takes the blob back.
	Done func(now Held, replaced bool) error
}

// StampNow calls Stamp, and gives 0 where there is none.
func (h Hooks) StampNow() int64 {
	if h.Stamp == nil {
		return 0
	}
	return h.Stamp()
}
