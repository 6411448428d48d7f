package comeback_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/comeback"
)

func start() time.Time { return time.Unix(1_700_000_000, 0) }

// at has n get through in each second, for so many seconds.
func at(l *comeback.Line, n, seconds int) time.Time {
	now := start()
	for range seconds {
		l.Through(n, now)
		now = now.Add(time.Second)
	}
	return now
}

func around(t *testing.T, want, got time.Duration) {
	t.Helper()
	require.GreaterOrEqual(t, got, want*85/100)
	require.LessOrEqual(t, got, want*125/100)
}

func TestItFollowsTheRate(t *testing.T) {
	for rate, want := range map[int]time.Duration{10: 100 * time.Second, 50: 20 * time.Second, 500: 2 * time.Second} {
		var l comeback.Line
		now := at(&l, rate, 30)
		around(t, want, l.Wait(1000, now))
	}
}

func TestItIsBounded(t *testing.T) {
	var l comeback.Line
	for range 1000 {
		around(t, comeback.Unknown, l.Wait(1_000_000, start()))
	}
	now := at(&l, 0, 30)
	around(t, comeback.Stuck, l.Wait(0, now))
	now = at(&l, 10, 200)
	require.Equal(t, comeback.Most, l.Wait(1_000_000_000, now))
	require.LessOrEqual(t, l.Wait(-5, now), 3*comeback.Least)
	require.GreaterOrEqual(t, l.Wait(0, now), comeback.Least)
}

// Those who are refused together come back one after the other, and once their
// time is over they are not counted any more.
func TestTheRefusedComeBackInTurn(t *testing.T) {
	var l comeback.Line
	now := at(&l, 10, 60)
	for range 500 {
		l.Wait(0, now)
	}
	around(t, 50*time.Second, l.Wait(0, now))
	for range 60 {
		now = now.Add(time.Second)
		l.Through(10, now)
	}
	require.LessOrEqual(t, l.Wait(0, now), 2*time.Second)
}

// A pause without anybody is not taken for slowness.
func TestAPauseIsForgotten(t *testing.T) {
	var l comeback.Line
	now := at(&l, 100, 30).Add(time.Hour)
	for range 10 {
		l.Through(100, now)
		now = now.Add(time.Second)
	}
	around(t, 10*time.Second, l.Wait(1000, now))
}
