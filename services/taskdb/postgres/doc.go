// Package postgres keeps tasks in a PostgreSQL database, for any number of taskdb
// processes.
//
// It promises that a write is on the server's stable storage when its call
// returns: every connection asserts fsync and synchronous_commit, or is refused
// in words that say what was found. All times are the database's, so that
// processes agree on leases whatever their own clocks say.
//
// Writes share commits. Two goroutines take what waits in a bounded queue; each
// carries a batch out in one transaction and two round trips: one that inserts
// what is new and locks what is to change, in rising order of ID, and one that
// saves what the rules of package taskdb have made of it, claims, and commits.
// A claim is one statement and waits for nobody (SKIP LOCKED).
//
// A transaction that is known not to have happened (a deadlock, a connection that
// ended before the commit was sent) is carried out again for a while. One whose
// commit was sent and not answered is fault.Unavailable: it may have happened.
//
// The database may be away at the start and later: calls are fault.Unavailable
// until it is there, and [Store.Missing] says so. Migrations run under an
// advisory lock, one process at a time. The package makes no database and no
// user, and needs a connection of its own kind: a pooler that hands out
// connections by transaction does not keep what is set on them.
package postgres
