package postgres

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
)

// Of whatever kind an error would be: where the commit may have happened, callers are
// not told that it has not.
func TestADoubtIsNoRefusal(t *testing.T) {
	causes := []error{
		errors.New("the answer cannot be read"), fault.New(fault.Conflict, "it is so already"),
		fault.New(fault.Overloaded, "too many"), fault.New(fault.Invalid, "no such thing"),
	}
	for _, code := range []string{diskFull, "53200", "57P01", "XX000", "22021", serialization, queryCanceled} {
		causes = append(causes, &pgconn.PgError{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code})
	}
	for _, cause := range causes {
		err := failure(doubt{cause})
		require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", cause)
		require.Positive(t, fault.As(err).RetryAfter)
		require.ErrorIs(t, err, cause)
	}
	full := &pgconn.PgError{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: diskFull}
	require.True(t, refusesCommit(full))
	require.Equal(t, fault.StorageFull, fault.KindOf(failure(full)))
}
