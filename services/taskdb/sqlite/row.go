package sqlite

import (
	"database/sql"
	"errors"
	"fmt"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// scanAll reads all rows, with what stands before the columns of a task, and closes
// them.
func scanAll(rows *sql.Rows, before ...any) (tasks []taskdb.Task, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	tasks = []taskdb.Task{}
	for rows.Next() {
		t, err := backend.Scan(rows, before...)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, t)
	}
	return tasks, rows.Err()
}

// highest is the greatest of the numbers that are scanned into it.
type highest int64

// Scan implements [sql.Scanner].
func (h *highest) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("%T is no number", v)
	}
	*h = max(*h, highest(n))
	return nil
}
