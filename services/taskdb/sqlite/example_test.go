package sqlite_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/sqlite"
	"imagemill/services/taskdb/taskdbtest"
)

// What Create has answered is on disk.
func Example() {
	dir, err := os.MkdirTemp("", "taskdb")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	cfg := taskdb.DefaultConfig()
	cfg.Path = filepath.Join(dir, "tasks.db")
	ctx := context.Background()
	for range 2 {
		store, err := sqlite.Open(ctx, cfg, sqlite.Deps{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			fmt.Println(err)
			return
		}
		_, err = store.Create(ctx, taskdbtest.New(1)) // the second time, it is there already
		stats, _ := store.Stats(ctx)
		fmt.Println(err, stats.States[taskdb.NotStarted], store.Close())
	}
	// Output:
	// <nil> 1 <nil>
	// <nil> 1 <nil>
}
