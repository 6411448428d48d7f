//go:build unix

package postgres_test

import (
	"testing"

	"imagemill/services/taskdb/taskdbtest"
)

// SQLite and memory have the long backlog.
func TestANewcomerDoesNotWaitForABacklog(t *testing.T) {
	s := open(t, real())
	taskdbtest.FillOwned(t, s, 2_000, func(uint64) string { return taskdbtest.Backlog })
	taskdbtest.Fair(t, s)
}
