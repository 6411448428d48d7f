package backend

import (
	"encoding/json"
	"fmt"
	"time"

	"imagemill/services/taskdb"
)

// Columns are those of a task, in the order in which [Scan] reads them.
const Columns = `id, state, created, updated, attempt, tries, deaths, worker, lease_until, not_before, progress,
	blob_key, blob_size, blob_sha256, blob_type, pipeline, result, failures, needs, lane, owner, idempotency_key, expires, twin`

// Scanner is a row, or the current one of several.
type Scanner interface{ Scan(dest ...any) error }

// Scan reads the columns of a task, after those that stand before them.
func Scan(row Scanner, before ...any) (taskdb.Task, error) {
	var t taskdb.Task
	var created, updated, lease, notBefore, expires int64
	var lane int
	var pipeline string
	var result, failures, key *string
	var twin *int64
	err := row.Scan(append(before, &t.ID, &t.State, &created, &updated, &t.Attempt, &t.Tries, &t.Deaths, &t.Worker, &lease, &notBefore,
		&t.Progress, &t.Original.Key, &t.Original.Size, &t.Original.SHA256, &t.Original.ContentType,
		&pipeline, &result, &failures, &t.Needs, &lane, &t.Owner, &key, &expires, &twin)...)
	if err != nil {
		return t, err
	}
	t.Lane, t.Dedupe = LaneOf(lane), twin != nil
	t.Created, t.Updated, t.LeaseUntil, t.NotBefore = Moment(created), Moment(updated), Moment(lease), Moment(notBefore)
	t.Expires = Moment(expires)
	t.Pipeline = json.RawMessage(pipeline)
	if result != nil {
		t.Result = new(taskdb.Result)
		if err := json.Unmarshal([]byte(*result), t.Result); err != nil {
			return t, fmt.Errorf("decode result: %w", err)
		}
	}
	if key != nil {
		t.IdempotencyKey = *key
	}
	if failures != nil {
		if err := json.Unmarshal([]byte(*failures), &t.Failures); err != nil {
			return t, fmt.Errorf("decode failures: %w", err)
		}
	}
	return t, nil
}

// Encode gives the JSON columns of a task; nil for none.
func Encode(t taskdb.Task) (result, failures *string, err error) {
	if t.Result != nil {
		if result, err = encode(t.Result); err != nil {
			return nil, nil, fmt.Errorf("encode result of task %s: %w", t.ID, err)
		}
	}
	if len(t.Failures) > 0 {
		if failures, err = encode(t.Failures); err != nil {
			return nil, nil, fmt.Errorf("encode failures of task %s: %w", t.ID, err)
		}
	}
	return result, failures, nil
}

func encode(v any) (*string, error) {
	b, err := json.Marshal(v)
	text := string(b)
	return &text, err
}

// LaneNumber is how a lane is stored: 0 for Interactive, 1 for Batch.
func LaneNumber(l taskdb.Lane) int {
	if l == taskdb.Batch {
		return 1
	}
	return 0
}

// LaneOf reads what [LaneNumber] gave.
func LaneOf(n int) taskdb.Lane {
	if n == 1 {
		return taskdb.Batch
	}
	return taskdb.Interactive
}

// Unplaced is the turn of a task that is scheduled, which has none yet.
const Unplaced = -1

// Twin is how it is stored of which likeness a task is; nil without Dedupe.
func Twin(t taskdb.Task) *int64 {
	if !t.Dedupe {
		return nil
	}
	n := taskdb.LikenessOf(t).Number()
	return &n
}

// OrNull is how text that most tasks have none of is stored.
func OrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// Micros is how a time is stored: microseconds since 1970; 0 for none.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Moment reads what [Micros] wrote.
func Moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// PageOf makes a page of the tasks that were asked for with a limit of one more,
// which shows that there is a next page.
func PageOf(tasks []taskdb.Task, limit int) taskdb.Page {
	if len(tasks) <= limit {
		return taskdb.Page{Tasks: tasks}
	}
	return taskdb.Page{Tasks: tasks[:limit], Next: tasks[limit-1].ID}
}
