package imagemaster_test

import (
	"context"
	"io"
	"time"

	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// tasks is a store some of whose answers a test writes itself.
type tasks struct {
	taskdb.Store
	create func(context.Context, taskdb.NewTask) (taskdb.Task, error)
	claim  func(context.Context, taskdb.Claim) ([]taskdb.Task, error)
	get    func(context.Context, string) (taskdb.Task, error)
	expire func(context.Context) (taskdb.Expiry, error)
	stats  func(context.Context) (taskdb.Stats, error)
	purge  func() // told of each purge
}

func (s *tasks) Purge(ctx context.Context, r taskdb.Retention) ([]taskdb.Removed, error) {
	if s.purge != nil {
		s.purge()
	}
	return s.Store.Purge(ctx, r)
}

func (s *tasks) Stats(ctx context.Context) (taskdb.Stats, error) {
	if s.stats != nil {
		return s.stats(ctx)
	}
	return s.Store.Stats(ctx)
}

func (s *tasks) Expire(ctx context.Context) (taskdb.Expiry, error) {
	if s.expire != nil {
		return s.expire(ctx)
	}
	return s.Store.Expire(ctx)
}

func (s *tasks) Create(ctx context.Context, n taskdb.NewTask) (taskdb.Task, error) {
	if s.create != nil {
		return s.create(ctx, n)
	}
	return s.Store.Create(ctx, n)
}

func (s *tasks) Claim(ctx context.Context, c taskdb.Claim) ([]taskdb.Task, error) {
	if s.claim != nil {
		return s.claim(ctx, c)
	}
	return s.Store.Claim(ctx, c)
}

func (s *tasks) Get(ctx context.Context, id string) (taskdb.Task, error) {
	if s.get != nil {
		return s.get(ctx, id)
	}
	return s.Store.Get(ctx, id)
}

// blobs is a store whose Put and Get a test writes itself, whose blobs are age older
// than they are, and whose machine's clock is off.
type blobs struct {
	storage.Store
	age, off time.Duration
	mute     bool // it does not say its time
	list     error
	hold     func(context.Context) // before a list is answered
	delete   error
	refuse   func(storage.Ref) error // to delete this one
	put      func(context.Context, storage.Ref, io.Reader, storage.PutOptions) (storage.Info, error)
	get      func(context.Context, storage.Ref, storage.Span) (storage.Object, error)
}

func (b *blobs) Get(ctx context.Context, ref storage.Ref, span storage.Span) (storage.Object, error) {
	if b.get != nil {
		return b.get(ctx, ref, span)
	}
	return b.Store.Get(ctx, ref, span)
}

func (b *blobs) Put(ctx context.Context, ref storage.Ref, r io.Reader, opt storage.PutOptions) (storage.Info, error) {
	if b.put != nil {
		return b.put(ctx, ref, r, opt)
	}
	return b.Store.Put(ctx, ref, r, opt)
}

func (b *blobs) Delete(ctx context.Context, ref storage.Ref) error {
	if b.delete != nil {
		return b.delete
	}
	if b.refuse != nil && b.refuse(ref) != nil {
		return b.refuse(ref)
	}
	return b.Store.Delete(ctx, ref)
}

func (b *blobs) List(ctx context.Context, state storage.State, after string, limit int) (storage.Page, error) {
	if b.hold != nil {
		b.hold(ctx)
	}
	if b.list != nil {
		return storage.Page{}, b.list
	}
	page, err := b.Store.List(ctx, state, after, limit)
	for i := range page.Blobs {
		page.Blobs[i].Modified = page.Blobs[i].Modified.Add(b.off - b.age)
	}
	page.Now = page.Now.Add(b.off)
	if b.mute {
		page.Now = time.Time{}
	}
	return page, err
}
