package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"imagemill/internal/fault"
)

// Mem is a Store in memory, for tests and demonstrations: it keeps every
// promise but durability, and holds every blob whole.
type Mem struct {
	mu    sync.RWMutex
	blobs map[Ref]memBlob
}

type memBlob struct {
	info Info
	data []byte
}

// NewMem makes an empty store.
func NewMem() *Mem { return &Mem{blobs: map[Ref]memBlob{}} }

// Put implements [Store].
func (m *Mem) Put(ctx context.Context, ref Ref, r io.Reader, opt PutOptions) (Info, error) {
	if err := checkPut(ref, opt); err != nil {
		return Info{}, err
	}
	if opt.Size >= 0 {
		r = io.LimitReader(r, opt.Size+1)
	}
	data, err := io.ReadAll(r)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Info{}, fmt.Errorf("read blob %s: %w", ref.Key, err)
	}
	sum := sha256.Sum256(data)
	info := Info{Key: ref.Key, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Modified: time.Now().UTC()}
	if err := opt.Check(info.Size, info.SHA256); err != nil {
		return Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blobs[ref] = memBlob{info: info, data: data}
	return info, nil
}

func checkPut(ref Ref, opt PutOptions) error {
	if err := ref.Validate(); err != nil {
		return err
	}
	return opt.Validate()
}

// Get implements [Store].
func (m *Mem) Get(ctx context.Context, ref Ref, span Span) (Object, error) {
	b, err := m.find(ctx, ref)
	if err != nil {
		return Object{}, err
	}
	offset, length, err := span.Resolve(b.info.Size)
	if err != nil {
		return Object{}, err
	}
	body := io.NopCloser(bytes.NewReader(b.data[offset : offset+length]))
	return Object{Info: b.info, Offset: offset, Length: length, Body: body}, nil
}

// Stat implements [Store].
func (m *Mem) Stat(ctx context.Context, ref Ref) (Info, error) {
	b, err := m.find(ctx, ref)
	return b.info, err
}

func (m *Mem) find(ctx context.Context, ref Ref) (memBlob, error) {
	if err := ref.Validate(); err != nil {
		return memBlob{}, err
	}
	if err := ctx.Err(); err != nil {
		return memBlob{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	b, ok := m.blobs[ref]
	if !ok {
		return memBlob{}, NotFound(ref)
	}
	return b, nil
}

// NotFound is the fault.NotFound that every backend gives for a missing blob.
func NotFound(ref Ref) error {
	return fault.Newf(fault.NotFound, "there is no blob %s in %s", ref.Key, ref.State)
}

// Delete implements [Store].
func (m *Mem) Delete(ctx context.Context, ref Ref) error {
	if err := ref.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blobs, ref)
	return nil
}

// List implements [Store].
func (m *Mem) List(ctx context.Context, state State, after string, limit int) (Page, error) {
	limit, err := CheckList(state, after, limit)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Page{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	page := Page{Blobs: []Info{}, Now: time.Now().UTC()}
	for ref, b := range m.blobs {
		if ref.State == state && ref.Key > after {
			page.Blobs = append(page.Blobs, b.info)
		}
	}
	slices.SortFunc(page.Blobs, func(a, b Info) int { return strings.Compare(a.Key, b.Key) })
	if len(page.Blobs) > limit {
		page.Blobs = slices.Clip(page.Blobs[:limit])
		page.Next = page.Blobs[limit-1].Key
	}
	return page, nil
}
