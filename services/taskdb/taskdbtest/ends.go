package taskdbtest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

func endCases() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"finish/records, and a repeat changes nothing": func(t *testing.T, f *fixture) {
			f.held(1)
			f.clock.Advance(time.Second)
			got, err := f.Finish(t.Context(), ID(1), result(1))
			require.NoError(t, err)
			want := result(1)
			require.Equal(t, taskdb.Finished, got.State)
			require.Equal(t, &want, got.Result)
			require.InDelta(t, 1, got.Progress, 0)
			require.True(t, got.LeaseUntil.IsZero() && got.Worker == "")
			f.heardOnly(events.Event{Kind: events.Ended, TaskID: ID(1), State: "finished"})
			f.clock.Advance(time.Second)
			other := result(1)
			other.Width = 1
			again, err := f.Finish(t.Context(), ID(1), other)
			require.NoError(t, err)
			require.Equal(t, got, again)
			require.Equal(t, got, f.get(1))
			require.Empty(t, f.heard.Take())
			_, err = f.Cancel(t.Context(), ID(1))
			f.refused(err, fault.Conflict, taskdb.Finished)
			_, err = f.Retry(t.Context(), ID(1))
			f.refused(err, fault.Conflict, taskdb.Finished)
		},
		"finish/keeps facts, and shares them with nobody": func(t *testing.T, f *fixture) {
			f.held(1)
			given := result(1)
			got, err := f.Finish(t.Context(), ID(1), given)
			require.NoError(t, err)
			given.Facts.EXIF["Artist"], given.Facts.Colors[0] = "x", "x"
			got.Result.Facts.EXIF["Artist"], got.Result.Facts.Colors[0] = "y", "y"
			require.Equal(t, result(1).Facts, f.get(1).Result.Facts)
			f.create(2)
			f.claim(1, 1)
			plain := result(1)
			plain.Facts = nil
			_, err = f.Finish(t.Context(), ID(2), plain)
			require.NoError(t, err)
			require.Nil(t, f.get(2).Result.Facts, "nothing was asked")
		},
		"fail/retryable waits longer each time, then is final": tries,
		"fail/final": func(t *testing.T, f *fixture) {
			f.held(1)
			got, err := f.Fail(t.Context(), ID(1), failing(1, false))
			require.NoError(t, err)
			require.Equal(t, taskdb.Failed, got.State)
			require.Equal(t, 1, got.Tries)
			f.heardOnly(events.Event{Kind: events.Ended, TaskID: ID(1), State: "failed"})
			again, err := f.Fail(t.Context(), ID(1), failing(1, false))
			require.NoError(t, err)
			require.Equal(t, got, again)
			require.Empty(t, f.heard.Take())
			_, err = f.Cancel(t.Context(), ID(1))
			f.refused(err, fault.Conflict, taskdb.Failed)
		},
		"fail/deaths": func(t *testing.T, f *fixture) {
			f.create(1)
			for attempt := 1; attempt <= f.cfg.MaxDeaths; attempt++ {
				f.claim(1, 1)
				fl := failing(attempt, true)
				fl.Died = true
				_, err := f.Fail(t.Context(), ID(1), fl)
				require.NoError(t, err)
				f.clock.Advance(time.Minute)
			}
			got := f.get(1)
			require.Equal(t, taskdb.Failed, got.State)
			require.NotContains(t, got.Failures[0].Reason, "killed its worker")
			require.Contains(t, got.Failures[f.cfg.MaxDeaths-1].Reason, "killed its worker")
			require.Contains(t, got.Failures[f.cfg.MaxDeaths-1].Reason, failing(1, true).Reason)
		},
		"fail/an endless reason is cut": func(t *testing.T, f *fixture) {
			f.held(1)
			fl := failing(1, false)
			fl.Reason = strings.Repeat("ä", 5000) + "\xff"
			got, err := f.Fail(t.Context(), ID(1), fl)
			require.NoError(t, err)
			require.Less(t, len(got.Failures[0].Reason), 3000)
			require.Equal(t, got, f.get(1))
		},
		"cancel/waiting, held, again": func(t *testing.T, f *fixture) {
			f.held(1)
			f.create(2)
			f.heard.Take()
			for n := 1; n <= 2; n++ {
				got, err := f.Cancel(t.Context(), ID(n))
				require.NoError(t, err)
				require.Equal(t, taskdb.Cancelled, got.State)
				require.True(t, got.LeaseUntil.IsZero() && got.Worker == "")
				f.heardOnly(events.Event{Kind: events.Ended, TaskID: ID(n), State: "cancelled"})
				again, err := f.Cancel(t.Context(), ID(n))
				require.NoError(t, err)
				require.Equal(t, got, again)
				require.Empty(t, f.heard.Take())
			}
			f.claim(2, 0)
			f.clock.Advance(time.Hour)
			f.expire(0)
		},
		"retry/gives all tries back": retries,
		"history/keeps the newest failures": func(t *testing.T, f *fixture) {
			f.create(1)
			for attempt := 1; attempt <= taskdb.MaxFailures+3; attempt++ {
				f.claim(1, 1)
				_, err := f.Fail(t.Context(), ID(1), failing(attempt, false))
				require.NoError(t, err)
				_, err = f.Retry(t.Context(), ID(1))
				require.NoError(t, err)
			}
			all := f.get(1).Failures
			require.Len(t, all, taskdb.MaxFailures)
			require.Equal(t, 4, all[0].Attempt)
		},
	}
}

func tries(t *testing.T, f *fixture) {
	f.create(1)
	var last time.Duration
	for attempt := 1; attempt < f.cfg.MaxTries; attempt++ {
		f.claim(1, 1)
		f.heard.Take()
		got, err := f.Fail(t.Context(), ID(1), failing(attempt, true))
		require.NoError(t, err)
		require.Equal(t, taskdb.NotStarted, got.State)
		require.Equal(t, attempt, got.Tries)
		require.Zero(t, got.Deaths)
		require.Equal(t, "storage <away> & gone", got.Failures[attempt-1].Reason)
		pause := got.NotBefore.Sub(taskdb.Stamp(f.clock.Now()))
		f.heardOnly(events.Event{Kind: events.Queued, TaskID: ID(1), State: "notStarted", InMillis: pause.Milliseconds() + 1})
		require.GreaterOrEqual(t, pause, f.cfg.BackoffMin<<(attempt-1)/2)
		require.LessOrEqual(t, pause, f.cfg.BackoffMin<<(attempt-1))
		require.NotEqual(t, last, pause)
		last = pause
		again, err := f.Fail(t.Context(), ID(1), failing(attempt, true))
		require.NoError(t, err)
		require.Equal(t, got, again)
		f.clock.Advance(pause - time.Microsecond)
		f.claim(1, 0)
		f.clock.Advance(time.Microsecond)
	}
	f.claim(1, 1)
	got, err := f.Fail(t.Context(), ID(1), failing(f.cfg.MaxTries, true))
	require.NoError(t, err)
	require.Equal(t, taskdb.Failed, got.State)
}

func retries(t *testing.T, f *fixture) {
	f.held(1)
	_, err := f.Retry(t.Context(), ID(1))
	f.refused(err, fault.Conflict, taskdb.InProgress)
	_, err = f.Fail(t.Context(), ID(1), failing(1, false))
	require.NoError(t, err)
	f.heard.Take()
	got, err := f.Retry(t.Context(), ID(1))
	require.NoError(t, err)
	require.Equal(t, taskdb.NotStarted, got.State)
	require.Equal(t, [2]int{}, [2]int{got.Tries, got.Deaths})
	require.Len(t, got.Failures, 1)
	f.heardOnly(events.Event{Kind: events.Queued, TaskID: ID(1), State: "notStarted"})
	again, err := f.Retry(t.Context(), ID(1))
	require.NoError(t, err)
	require.Equal(t, got, again)
	require.Empty(t, f.heard.Take())
	require.Equal(t, 2, f.claim(1, 1)[0].Attempt, "the token never falls")
	_, err = f.Cancel(t.Context(), ID(1))
	require.NoError(t, err)
	_, err = f.Retry(t.Context(), ID(1))
	require.NoError(t, err)
	f.claim(1, 1)
}
