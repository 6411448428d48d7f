package sqlite

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"imagemill/services/taskdb"
)

// scanner is a row, or the current one of several.
type scanner interface{ Scan(dest ...any) error }

// scan reads the columns of a task.
func scan(row scanner) (taskdb.Task, error) {
	var t taskdb.Task
	var created, updated, lease, notBefore int64
	var pipeline string
	var result, failures sql.NullString
	err := row.Scan(&t.ID, &t.State, &created, &updated, &t.Attempt, &t.Tries, &t.Deaths, &t.Worker, &lease, &notBefore,
		&t.Progress, &t.Original.Key, &t.Original.Size, &t.Original.SHA256, &t.Original.ContentType,
		&pipeline, &result, &failures, &t.Needs)
	if err != nil {
		return t, err
	}
	t.Created, t.Updated, t.LeaseUntil, t.NotBefore = moment(created), moment(updated), moment(lease), moment(notBefore)
	t.Pipeline = json.RawMessage(pipeline)
	if result.Valid {
		t.Result = new(taskdb.Result)
		if err := json.Unmarshal([]byte(result.String), t.Result); err != nil {
			return t, fmt.Errorf("decode result: %w", err)
		}
	}
	if failures.Valid {
		if err := json.Unmarshal([]byte(failures.String), &t.Failures); err != nil {
			return t, fmt.Errorf("decode failures: %w", err)
		}
	}
	return t, nil
}

// scanAll reads all rows, and closes them.
func scanAll(rows *sql.Rows) (tasks []taskdb.Task, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	tasks = []taskdb.Task{}
	for rows.Next() {
		t, err := scan(rows)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, t)
	}
	return tasks, rows.Err()
}

// encode gives the JSON columns of a task; nil for none.
func encode(t taskdb.Task) (result, failures any, err error) {
	if t.Result != nil {
		b, err := json.Marshal(t.Result)
		if err != nil {
			return nil, nil, fmt.Errorf("encode result of task %s: %w", t.ID, err)
		}
		result = string(b)
	}
	if len(t.Failures) > 0 {
		b, err := json.Marshal(t.Failures)
		if err != nil {
			return nil, nil, fmt.Errorf("encode failures of task %s: %w", t.ID, err)
		}
		failures = string(b)
	}
	return result, failures, nil
}

// micros is how a time is stored; 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment reads what micros wrote.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
