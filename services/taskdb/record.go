package taskdb

import (
	"context"
	"sync"

	"imagemill/internal/fault"
)

// Record is one write of which nobody wants the task back: a Create or a Finish,
// and never both.
type Record struct {
	Create *NewTask `json:"create,omitempty"`
	Finish *Finish  `json:"finish,omitempty"`
}

// Finish is the end of a task with its result.
type Finish struct {
	ID     string `json:"id"`
	Result Result `json:"result"`
}

// MaxRecords bounds the records of one call.
const MaxRecords = 64

// Recorder is the side of those who have several writes at the same moment, as
// every busy master has.
type Recorder interface {
	// Record carries out 1 to [MaxRecords] writes, each as [Tasks].Create or
	// [Leases].Finish would, and gives the outcome of each in their order: nil for
	// one that is durable, or its own error, which says nothing about the others.
	// That of a create which repeats another task's upload is one of [Repeated].
	// They are carried out in no promised order. All may be repeated.
	Record(ctx context.Context, all ...Record) []error
}

// RecorderOf makes the writes on a store, all of them at once.
func RecorderOf(s Store) Recorder { return recorder{s} }

type recorder struct{ store Store }

// Record implements [Recorder].
func (r recorder) Record(ctx context.Context, all ...Record) []error {
	outcomes := make([]error, len(all))
	if len(all) == 1 {
		outcomes[0] = r.one(ctx, all[0])
		return outcomes
	}
	var wg sync.WaitGroup
	for i, rec := range all {
		wg.Go(func() { outcomes[i] = r.one(ctx, rec) })
	}
	wg.Wait()
	return outcomes
}

func (r recorder) one(ctx context.Context, rec Record) (err error) {
	switch {
	case rec.Create != nil && rec.Finish == nil:
		var t Task
		if t, err = r.store.Create(ctx, *rec.Create); err == nil {
			err = repeated(*rec.Create, t)
		}
	case rec.Finish != nil && rec.Create == nil:
		_, err = r.store.Finish(ctx, rec.Finish.ID, rec.Finish.Result)
	default:
		err = fault.New(fault.Invalid, "a record is either a create or a finish").WithField("records")
	}
	return err
}
