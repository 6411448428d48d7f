// Package storage keeps image bytes: originals before the work (state
// inProgress) and renditions after it (state finished).
//
// It promises that a blob is whole and on stable storage when Put returns, or
// not there at all; that what Get gives is what Put took (a damaged blob is an
// error, never served as if it were whole); and that no key reaches outside the
// data folder. Bytes are streamed in both directions; no blob is held in memory.
//
// It knows nothing of tasks: who owns a blob, and when it may go, others decide.
// Memory, disk and the HTTP client all pass storagetest.
package storage
