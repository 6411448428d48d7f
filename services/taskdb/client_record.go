package taskdb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"imagemill/internal/fault"
	"imagemill/internal/together"
)

// maxRecordBytes bounds the body of one call of POST /records, unless one record
// alone is longer: a server takes a megabyte.
const maxRecordBytes = 256 << 10

// Record implements [Recorder], in one call unless the records are very long. A
// taskdb of a version that does not know them gets one call for each.
func (c *Client) Record(ctx context.Context, all ...Record) []error {
	outcomes := make([]error, 0, len(all))
	for len(all) > 0 {
		body, n, err := recordsBody(all)
		var answer recorded
		if err == nil {
			err = c.post(ctx, "/records", "records", body, &answer)
		}
		switch {
		case fault.Is(err, fault.NotFound): // a record's own NotFound is an outcome
			outcomes = append(outcomes, RecorderOf(c).Record(ctx, all[:n]...)...)
		case err == nil && len(answer.Outcomes) != n:
			err = fault.Wrap(fault.Unavailable, "the task database's answer is not understood", errors.New("outcomes are missing"))
			fallthrough
		case err != nil:
			for range n {
				outcomes = append(outcomes, err)
			}
		default:
			for _, o := range answer.Outcomes {
				outcomes = append(outcomes, o.Err())
			}
		}
		all = all[n:]
	}
	return outcomes
}

// recordsBody is the body for as many of the records as go into one call, at
// least one.
func recordsBody(all []Record) (body rawBody, n int, err error) {
	var b bytes.Buffer
	b.WriteString(`{"records":[`)
	for ; n < min(len(all), MaxRecords); n++ {
		data, err := json.Marshal(all[n])
		if err != nil {
			return nil, len(all), fault.Wrap(fault.Invalid, "the request cannot be written as JSON", fmt.Errorf("encode record: %w", err))
		}
		if n > 0 && b.Len()+len(data) > maxRecordBytes {
			break
		}
		if n > 0 {
			b.WriteByte(',')
		}
		b.Write(data)
	}
	b.WriteString("]}")
	return b.Bytes(), n, nil
}

// Together is a Recorder whose writes go out in the same call as those of others
// that come at the same moment. Make it with [NewTogether].
type Together struct{ group *together.Group[Record] }

// callsAtOnce is how many calls are under way at a time: one that is committed,
// and one that gathers what comes meanwhile. A second lets the commits follow
// each other without a pause, and keeps one that hangs from holding up all.
const callsAtOnce = 2

// NewTogether makes a Recorder upon another, usually a [Client].
func NewTogether(r Recorder) *Together {
	return &Together{together.New(MaxRecords, callsAtOnce, func(ctx context.Context, all []Record) []error {
		return r.Record(ctx, all...)
	})}
}

// Record implements [Recorder].
func (t *Together) Record(ctx context.Context, all ...Record) []error { return t.group.Do(ctx, all...) }
