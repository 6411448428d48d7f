// Package sqlite keeps tasks in one SQLite file, for one process.
//
// It promises that a write is on stable storage when its call returns: WAL with
// synchronous=FULL, set and read back on every connection, or the connection is
// refused. A commit that fails has failed all writes in it, and is never tried
// again.
//
// Writes share commits. One goroutine, started by [Open] and ended by
// [Store.Close], takes what waits in a bounded queue, carries it out in one
// transaction, syncs once and answers all. It never waits for company: while a
// commit syncs, the next batch gathers by itself. Each write decides by the
// rules of package taskdb and then changes its rows in one statement, so that
// one which is refused leaves the others alone.
//
// Reads go past the writer over a pool of their own. The package does not share
// its file with other writers; one that holds the lock for longer than five
// seconds makes writes fault.Unavailable.
package sqlite
