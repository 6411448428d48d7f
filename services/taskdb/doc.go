// Package taskdb is the one truth about every task: its state, who holds it,
// how often it was tried and what came of it.
//
// It promises that a task is on stable storage when Create returns, that a task
// is held by one attempt at a time, and that every write after a claim names
// its attempt and is refused when that attempt no longer holds the lease. Each
// change is published on the event bus after it is durable; the bus is a hint
// only.
//
// The states and the allowed moves between them (see [Moves]):
//
//	              claim                finish
//	notStarted ──────────► inProgress ────────► finished
//	  ▲  ▲  │                │ │ │ │
//	  │  │  │cancel   release│ │ │ └──────────► failed
//	  │  │  ▼          expire│ │ │  fail (final, or too many attempts)
//	  │  │ cancelled ◄───────┼─┘                  │
//	  │  └───────────────────┘ fail (retryable)   │
//	  └───────────────────────────────────────────┘ retry (also from cancelled)
//
// Who has several tasks to create or to finish at the same moment, as a busy
// master has, brings them in one call ([Recorder], POST /records), in which each
// has its own outcome and none gives a task back.
//
// What is deleted, or due to be removed ([Removals]), goes in one transaction, with
// the attempt that has it in hand, and leaves no trace; its blobs are the caller's.
//
// It stores no image bytes and decides nothing about images. Memory, SQLite,
// PostgreSQL and the HTTP client all pass taskdbtest.
package taskdb
