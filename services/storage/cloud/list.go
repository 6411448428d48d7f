package cloud

import (
	"context"
	"fmt"
	"time"

	"imagemill/services/storage"
	"imagemill/services/storage/footer"
)

// List implements storage.Store. Digests are left empty: the providers do not list
// them. Objects that are none of ours are passed over.
func (s *Store) List(ctx context.Context, state storage.State, after string, limit int) (storage.Page, error) {
	limit, err := storage.CheckList(state, after, limit)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return storage.Page{}, err
	}
	page := storage.Page{Blobs: []storage.Info{}}
	from := ""
	if after != "" {
		from = s.folder(state) + after + s.suffix()
	}
	for more := true; more && len(page.Blobs) <= limit; {
		want := limit + 1 - len(page.Blobs)
		var found []object
		if found, page.Now, err = s.names(ctx, state, from, want); err != nil {
			return storage.Page{}, s.failed(ctx, "list", storage.Ref{State: state, Key: after}, err)
		}
		for _, o := range found {
			from = o.name
			if key := s.key(state, o.name); key != "" {
				page.Blobs = append(page.Blobs, storage.Info{Key: key, Size: s.blobSize(o.size), Modified: o.modified})
			}
		}
		more = len(found) == want
	}
	s.health.reached()
	if len(page.Blobs) > limit {
		page.Blobs = page.Blobs[:limit:limit]
		page.Next = page.Blobs[limit-1].Key
	}
	return page, nil
}

// names is one call for a list.
func (s *Store) names(ctx context.Context, state storage.State, from string, n int) ([]object, time.Time, error) {
	cctx, cancel := s.call(ctx)
	defer cancel()
	found, now, err := s.bucket.list(cctx, s.folder(state), from, n)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("after %q: %w", from, err)
	}
	return found, now, nil
}

func (s *Store) blobSize(size int64) int64 {
	if s.hasFooter(size) {
		return max(size-footer.Size, 0)
	}
	return size
}
