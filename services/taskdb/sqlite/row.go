package sqlite

import (
	"database/sql"
	"errors"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// scanAll reads all rows, and closes them.
func scanAll(rows *sql.Rows) (tasks []taskdb.Task, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	tasks = []taskdb.Task{}
	for rows.Next() {
		t, err := backend.Scan(rows)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, t)
	}
	return tasks, rows.Err()
}
