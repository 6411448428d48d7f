package fault_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
)

func TestTheCauseIsReachedThroughAKind(t *testing.T) {
	err := fault.Wrap(fault.Unavailable, "try later", io.ErrUnexpectedEOF).WithRetryAfter(3 * time.Second)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.True(t, fault.Is(err, fault.Unavailable))
	require.False(t, fault.Is(err, fault.Internal))
	require.False(t, fault.Is(nil, fault.Internal))
	require.Equal(t, 3*time.Second, err.RetryAfter)
}

func TestWhatTheLogSays(t *testing.T) {
	for want, err := range map[string]error{
		"width: must be 1 to 7":       fault.Newf(fault.Invalid, "must be 1 to %d", 7).WithField("width"),
		"conflict":                    fault.New(fault.Conflict, ""),
		"the disk is full: no space":  fault.Wrap(fault.StorageFull, "the disk is full", errors.New("no space")),
		"size: too large: of a blob":  fault.Wrap(fault.TooLarge, "too large", errors.New("of a blob")).WithField("size"),
		"unavailable: closed already": fault.Wrap(fault.Unavailable, "", errors.New("closed already")),
	} {
		require.EqualError(t, err, want)
	}
}

func TestAnErrorAnswerThatBreaksOff(t *testing.T) {
	for status, kind := range map[int]fault.Kind{503: fault.Unavailable, 404: fault.NotFound, 418: fault.Invalid} {
		err := fault.FromResponse(&http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {fault.ContentType}},
			Body: io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF)),
		})
		require.Equal(t, kind, fault.KindOf(err))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
}

func TestOnlySecondsAreReadOfRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "2": 2 * time.Second, "-1": 0, "soon": 0, "Wed, 21 Oct 2015 07:28:00 GMT": 0,
	} {
		err := fault.FromResponse(&http.Response{
			StatusCode: 429, Header: http.Header{"Retry-After": {value}}, Body: http.NoBody,
		})
		require.Equal(t, want, fault.As(err).RetryAfter, "%q", value)
	}
}
