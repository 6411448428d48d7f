package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"imagemill/internal/fault"
)

// The codes of errors that are no defect; see the appendix of PostgreSQL's manual.
const (
	serialization   = "40001"
	deadlock        = "40P01"
	lockNotHad      = "55P03"
	readOnly        = "25006"
	queryCanceled   = "57014"
	diskFull        = "53100"
	invalidPassword = "28P01"
)

// weather is what an error of the database says about it.
type weather int

const (
	broken  weather = iota // a defect of ours or theirs
	crossed                // two transactions were in each other's way
	slow                   // it did not answer in time
	away                   // it cannot be reached, or takes nobody now
	full                   // it has no room left
)

// weatherOf looks at an error of a connection.
func weatherOf(err error) weather {
	if _, refused := errors.AsType[*refusal](err); refused {
		return away
	}
	if _, is := errors.AsType[vanished](err); is {
		return crossed
	}
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		if errors.Is(err, context.DeadlineExceeded) {
			return slow
		}
		var ce *pgconn.ConnectError
		// What is neither the server's word nor ours comes from the connection.
		if errors.As(err, &ce) || pgconn.Timeout(err) || isConnection(err) {
			return away
		}
		return broken
	}
	switch {
	case pe.Code == serialization, pe.Code == deadlock, pe.Code == lockNotHad:
		return crossed
	case pe.Code == diskFull:
		return full
	case pe.Code == queryCanceled:
		return slow
	// Resources, and intervention by an operator; a standby; a server that is being
	// set up has neither its users nor its databases yet.
	case strings.HasPrefix(pe.Code, "53"), strings.HasPrefix(pe.Code, "57P"), strings.HasPrefix(pe.Code, "08"),
		strings.HasPrefix(pe.Code, "28"), pe.Code == readOnly, pe.Code == "3D000", pe.Code == "58000", pe.Code == "58030":
		return away
	}
	return broken
}

// failure gives an error of the database its kind and its public sentence. Of a
// doubt that is Unavailable, whatever it came from: all other kinds may be taken for
// "nothing has happened".
func failure(err error) error {
	if isDoubt(err) {
		return fault.Wrap(fault.Unavailable, "the task database did not say whether this was done", err).WithRetryAfter(time.Second)
	}
	if err == nil || errors.As(err, new(*fault.Error)) {
		return err
	}
	switch weatherOf(err) {
	case crossed:
		return fault.Wrap(fault.Unavailable, "the task database is busy with the same tasks", err).WithRetryAfter(time.Second)
	case slow:
		return fault.Wrap(fault.Unavailable, "the task database does not answer in time", err).WithRetryAfter(time.Second)
	case away:
		return fault.Wrap(fault.Unavailable, "the task database cannot be reached", err).WithRetryAfter(time.Second)
	case full:
		return fault.Wrap(fault.StorageFull, "the task database has no room left", err).WithRetryAfter(10 * time.Second)
	case broken:
	}
	return fault.Wrap(fault.Internal, "the task database cannot do this", err)
}

// vanished is a task that was there when its creation was repeated, and deleted
// before it could be read.
type vanished struct{ id string }

func (v vanished) Error() string { return "task " + v.id + " is being deleted" }

// doubt is the failure of a transaction whose commit was sent: it may have happened.
type doubt struct{ error }

func (d doubt) Unwrap() error { return d.error }

func isDoubt(err error) bool {
	_, is := errors.AsType[doubt](err)
	return is
}

// refusesCommit reports whether an error that came instead of a commit's answer
// says that nothing has happened. A connection that is ended by the server may be so
// after the commit.
func refusesCommit(err error) bool {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.SeverityUnlocalized == "ERROR"
	}
	return pgconn.SafeToRetry(err)
}

// repeatable reports whether a transaction that failed so may be carried out again:
// nothing of it has happened, and another time it may.
func repeatable(err error) bool {
	w := weatherOf(err)
	return !isDoubt(err) && (w == crossed || w == away)
}
