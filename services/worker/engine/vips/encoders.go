//go:build vips

package vips

/*
#include "wrap.h"
*/
import "C"

import (
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// encoders write finished pictures while the next ones are made.
type encoders struct {
	threads int
	group   errgroup.Group
	mu      sync.Mutex
	made    map[int]engine.Rendition // by the place in the pipeline
}

// newEncoders lets so many work side by side; less than 2 is none beside the
// caller.
func newEncoders(threads int) *encoders {
	e := &encoders{threads: threads, made: map[int]engine.Rendition{}}
	e.group.SetLimit(max(threads, 1))
	return e
}

// write writes the picture of a task and closes the task. It waits while too many
// others are being written, and only for its own result where that needs more than
// the picture: the original is read by one at a time.
func (e *encoders) write(t *task, m ref, frames int) error {
	if e.threads < 2 || frames > 1 || t.r.Metadata != pipeline.Strip || t.r.Profile != pipeline.SRGB {
		return e.one(t, m, frames)
	}
	e.group.Go(func() error {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer C.vips_thread_shutdown()
		return e.one(t, m, frames)
	})
	return nil
}

// one writes the picture of a task and closes the task.
func (e *encoders) one(t *task, m ref, frames int) error {
	defer t.own.close()
	done, err := t.write(m, frames)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.made[t.step.Rendition] = done
	return nil
}

// wait waits for all that are being written, and gives the first failure.
func (e *encoders) wait() error { return e.group.Wait() }
