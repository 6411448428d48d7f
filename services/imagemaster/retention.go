package imagemaster

import (
	"context"
	"fmt"

	"imagemill/services/taskdb"
)

// retention is what taskdb is told of the settings.
func (c Config) retention() taskdb.Retention {
	return taskdb.Retention{FinishedMillis: c.Retention.Milliseconds(), FailedMillis: c.RetentionFailed.Milliseconds()}
}

// Purge removes the images that have expired, or that have been kept for as long as
// the settings say, and gives how many. Which those are, taskdb says, by its clock;
// several masters at once get each of them once. As with Delete, blobs go after
// their tasks, and what a crash leaves is the sweeper's.
func (s *Service) Purge(ctx context.Context) (removed int, err error) {
	for {
		all, err := s.deps.Tasks.Purge(ctx, s.cfg.retention())
		if err != nil {
			return removed, fmt.Errorf("purge tasks: %w", err)
		}
		s.removeBlobs(ctx, all...)
		for _, r := range all {
			s.wakes.forget(r.Task.ID)
		}
		removed += len(all)
		if len(all) < taskdb.MaxPurge || ctx.Err() != nil {
			return removed, nil
		}
	}
}
