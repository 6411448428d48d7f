// Package events carries "task changed" between services: a hint that wakes
// long polls and feeds live progress, never the record of anything.
//
// A lost, late or doubled event must cost latency only; every reader also polls
// slowly. Publishing never blocks and never fails. Two buses exist: [Memory]
// for one process and tests, and [NATS] for everything else.
package events

import "encoding/json"

// Kind says what happened to a task.
type Kind string

// The kinds of events.
const (
	// Queued is published when a task can be claimed: created, released,
	// expired or retried, or when it has waited for its time.
	Queued Kind = "queued"
	// Ended is published when a task is finished, failed or cancelled.
	Ended Kind = "ended"
	// Progress is published when a task is claimed or its progress changes.
	Progress Kind = "progress"
)

// Event is one change of one task.
type Event struct {
	Kind   Kind   `json:"kind"`
	TaskID string `json:"taskId"`
	// State is the task's state after the change, as taskdb names it.
	State string `json:"state,omitempty"`
	// Task is the whole task as taskdb recorded it, so that who waits for its end
	// need not ask again. Only Ended has it, and not where it is large.
	Task json.RawMessage `json:"task,omitempty"`
	// Needs is what a queued task needs of a worker, as taskdb recorded it.
	Needs uint64 `json:"needs,omitempty"`
	// InMillis is in how many milliseconds a queued task can be claimed, rounded up,
	// where it waits for a time; whoever ends that wait tells again.
	InMillis int64 `json:"inMillis,omitempty"`
}

// Publisher is the side that tells. Publish never blocks and never fails.
type Publisher interface {
	Publish(Event)
}

// Bus both tells and listens. Subscribe calls fn for every event, one at a time
// and in no promised order, until cancel is called; fn must not block. An event
// published before Subscribe returned may be missed.
type Bus interface {
	Publisher
	Subscribe(fn func(Event)) (cancel func())
}
