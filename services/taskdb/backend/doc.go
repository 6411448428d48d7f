// Package backend holds what the databases behind taskdb share: how a task is a
// row, and the queue before those who commit.
//
// It promises that a row gives the very task that was written, and that a write
// in the queue is answered once: durable, refused or failed. It knows no SQL and
// decides nothing about tasks; the rules are those of package taskdb.
package backend
