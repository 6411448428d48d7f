package taskdb_test

import (
	"context"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/taskdbtest"
)

func TestLinearizable(t *testing.T) {
	s := taskdb.NewMemory(taskdbtest.LinearConfig(), taskdb.MemoryDeps{})
	q := taskdbtest.Quarrel{Store: func() taskdb.Store { return s }, Calls: 4000}
	require.Equal(t, porcupine.Ok, q.Run(t))
}

// lenient is a store that lets a lost lease be renewed.
type lenient struct{ *taskdb.Memory }

func (l lenient) Release(ctx context.Context, lease taskdb.Lease) error {
	if err := l.Memory.Release(ctx, lease); !fault.Is(err, fault.Conflict) {
		return err
	}
	return nil
}

// The check finds a store that believes an attempt which has lost its lease.
func TestLinearizableFindsALostLease(t *testing.T) {
	s := lenient{taskdb.NewMemory(taskdbtest.LinearConfig(), taskdb.MemoryDeps{})}
	q := taskdbtest.Quarrel{Store: func() taskdb.Store { return s }, Calls: 4000}
	require.Equal(t, porcupine.Illegal, q.Run(t))
}
