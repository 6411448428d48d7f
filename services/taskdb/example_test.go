package taskdb_test

import (
	"context"
	"fmt"
	"strings"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

// One task from creation to its result, and a worker that comes too late.
func Example() {
	ctx := context.Background()
	var store taskdb.Store = taskdb.NewMemory(taskdb.DefaultConfig(), taskdb.MemoryDeps{})
	_, err := store.Create(ctx, taskdb.NewTask{
		ID: "01890000-0000-7000-8000-000000000001", Pipeline: []byte(`{"renditions":[]}`),
		Original: taskdb.Blob{Key: "original", Size: 42, SHA256: strings.Repeat("0", 64), ContentType: "image/png"},
	})
	fmt.Println("created:", err == nil)

	tasks, _ := store.Claim(ctx, taskdb.Claim{Worker: "w1", Max: 1})
	t := tasks[0]
	fmt.Println(t.State, "attempt", t.Attempt)

	_, err = store.Finish(ctx, t.ID, taskdb.Result{Attempt: t.Attempt - 1})
	fmt.Println("another attempt:", fault.KindOf(err), "while", fault.As(err).State)

	t, _ = store.Finish(ctx, t.ID, taskdb.Result{Attempt: t.Attempt})
	fmt.Println(t.State)
	// Output:
	// created: true
	// inProgress attempt 1
	// another attempt: conflict while inProgress
	// finished
}
