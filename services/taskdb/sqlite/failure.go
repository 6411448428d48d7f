package sqlite

import (
	"errors"
	"time"

	sqlitedrv "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"imagemill/internal/fault"
)

// failure gives an SQL error its kind: a full disk and a lock that was not had
// may pass, anything else is a defect or a broken disk.
func failure(err error) error {
	var se *sqlitedrv.Error
	if err == nil || !errors.As(err, &se) {
		return err
	}
	if se.Code() == sqlite3.SQLITE_IOERR_SHMSIZE { // the index of the log could not grow
		return full(err)
	}
	switch se.Code() & 0xff { // the primary code, without what extends it
	case sqlite3.SQLITE_FULL:
		return full(err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fault.Wrap(fault.Unavailable, "the task database is locked by somebody else", err).WithRetryAfter(time.Second)
	}
	return fault.Wrap(fault.Internal, "the task database cannot write", err)
}

func full(err error) error {
	return fault.Wrap(fault.StorageFull, "the task database has no room left", err).WithRetryAfter(10 * time.Second)
}
