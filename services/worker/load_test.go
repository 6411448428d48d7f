package worker

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHowManyTasksToHold(t *testing.T) {
	const s = time.Second
	for name, tc := range map[string]struct {
		engines, most   int
		inside, outside time.Duration
		want            int
	}{
		"nothing known yet":             {4, 32, 0, 0, 4},
		"all of the time in the engine": {4, 32, s, 0, 4},
		"a little outside":              {4, 32, s, s / 10, 5},
		"as much outside as inside":     {4, 32, s, s, 8},
		"much outside":                  {4, 32, s, 4 * s, 20},
		"the bound":                     {4, 32, s, 1000 * s, 32},
		"one engine, slow pictures":     {1, 8, 60 * s, s, 2},
	} {
		l := newLoad(tc.engines, tc.most)
		if tc.inside > 0 {
			l.observe(tc.inside, tc.outside)
		}
		require.Equal(t, tc.want, l.target(), name)
	}
}

func TestTheLoadFollowsSlowly(t *testing.T) {
	l := newLoad(1, 100)
	l.observe(time.Second, time.Second)
	require.Equal(t, 2, l.target())
	l.observe(time.Second, 11*time.Second)
	require.Equal(t, 3, l.target(), "one odd task counts for a tenth")
	for range 100 {
		l.observe(time.Second, 11*time.Second)
	}
	require.Equal(t, 12, l.target())
}

func TestRoomWaitsForATaskToEnd(t *testing.T) {
	l := newLoad(2, 8)
	n, ok := l.room(t.Context())
	require.True(t, ok)
	require.Equal(t, 2, n)
	l.add()
	l.add()
	rooms := make(chan int, 1)
	go func() {
		n, _ := l.room(context.WithoutCancel(t.Context()))
		rooms <- n
	}()
	l.done()
	require.Equal(t, 1, receive(t, rooms))
	l.add()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, ok = l.room(ctx)
	require.False(t, ok)
}
