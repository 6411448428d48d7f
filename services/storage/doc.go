// Package storage keeps image bytes: originals before the work (state
// inProgress) and renditions after it (state finished).
//
// It promises that a blob is whole and on stable storage when Put returns, or
// not there at all; that what Get gives is what Put took (a damaged blob is an
// error, never served as if it were whole); and that no key reaches outside the
// data folder. Bytes are streamed in both directions; no blob is held in memory.
//
// Routes, all of which may be repeated:
//
//	PUT    /blobs/{state}/{key}   stores the body: 201 and its Info, also for a
//	                              replacement; X-Content-Sha256 is checked;
//	                              replicas= waits for copies on other nodes
//	GET    /blobs/{state}/{key}   the bytes: 200, or 206 and 416 for one Range
//	HEAD   /blobs/{state}/{key}   the same headers, without the bytes
//	DELETE /blobs/{state}/{key}   204, also where there is none
//	GET    /blobs/{state}         a Page; after= and limit=
//
// A GET that meets damage half-way breaks the connection.
//
// Nodes with disks of their own copy each other's blobs, by the package
// replication; a lone one is a case of that.
//
// It knows nothing of tasks: who owns a blob, and when it may go, others decide.
// Memory, disk, object stores and the HTTP client all pass storagetest.
package storage
