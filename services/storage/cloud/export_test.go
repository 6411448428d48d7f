package cloud

import (
	"context"
	"time"

	"imagemill/services/storage"
)

// LeaveParts begins an upload and forgets it, as a process does that is killed. It
// gives how many uploads that leaves.
func (s *Store) LeaveParts(ctx context.Context, ref storage.Ref) (int, error) {
	up, err := s.bucket.begin(ctx, s.name(ref))
	if err != nil {
		return 0, err
	}
	return 1, up.part(ctx, make([]byte, partSize))
}

// TidyNow removes what began before then.
func (s *Store) TidyNow(ctx context.Context, then time.Time) (int, error) {
	return s.bucket.(tidier).tidy(ctx, s.place.Prefix, then)
}
