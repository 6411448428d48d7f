package imagemaster_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/taskdb"
)

// With as many waiting as may, an upload is refused before it is read, with when
// to come back; once there is room, it is taken.
func TestUploadsAreRefusedWhileTooManyWait(t *testing.T) {
	w := newWorld(t, func(c *imagemaster.Config) { c.MaxWaiting = 3 })
	for range 3 {
		w.take(t)
	}
	u := upload("original")
	_, err := w.NewImage(t.Context(), u)
	require.Equal(t, fault.Overloaded, fault.KindOf(err), "%v", err)
	require.Positive(t, fault.As(err).RetryAfter)
	require.Equal(t, len("original"), u.Body.(*strings.Reader).Len(), "the body is not read")

	// Over HTTP the caller learns of both.
	c, _ := overHTTP(t, w.Service)
	_, err = c.NewImage(t.Context(), upload("original"))
	require.Equal(t, fault.Overloaded, fault.KindOf(err), "%v", err)
	require.Positive(t, fault.As(err).RetryAfter)

	_, err = w.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: 1})
	require.NoError(t, err)
	w.clock.Advance(2 * time.Second)
	w.take(t)
	_, err = w.NewImage(t.Context(), upload("original"))
	require.Equal(t, fault.Overloaded, fault.KindOf(err))
}

// What is asked for is what the excess takes at the rate at which work ends.
func TestTheRefusedAreToldHowLongItTakes(t *testing.T) {
	w := newWorld(t, func(c *imagemaster.Config) { c.MaxWaiting = 100 })
	ended := int64(0)
	w.tasks.stats = func(context.Context) (taskdb.Stats, error) {
		return taskdb.Stats{States: map[taskdb.State]int64{taskdb.NotStarted: 1100, taskdb.Finished: ended}}, nil
	}
	var err error
	for range 30 {
		_, err = w.NewImage(t.Context(), upload("original"))
		require.Equal(t, fault.Overloaded, fault.KindOf(err))
		w.clock.Advance(time.Second)
		ended += 50
	}
	wait := fault.As(err).RetryAfter
	require.GreaterOrEqual(t, wait, 17*time.Second, "1000 too many, 50 a second")
	require.LessOrEqual(t, wait, 25*time.Second)
}

// A taskdb that cannot count keeps nobody out, and is not asked for each upload.
func TestCountingIsSeldomAndMayFail(t *testing.T) {
	w := newWorld(t, func(c *imagemaster.Config) { c.MaxWaiting = 1 })
	asked := 0
	w.tasks.stats = func(context.Context) (taskdb.Stats, error) { asked++; return taskdb.Stats{}, errors.New("away") }
	w.take(t)
	_, err := w.NewImage(t.Context(), upload("original"))
	require.Equal(t, fault.Overloaded, fault.KindOf(err), "what it recorded itself it knows")
	require.Equal(t, 1, asked)
	w.clock.Advance(2 * time.Second)
	w.take(t)
	require.Equal(t, 2, asked)
}

func TestNoBoundAsksNobody(t *testing.T) {
	w := newWorld(t, func(c *imagemaster.Config) { c.MaxWaiting = 0 })
	w.tasks.stats = func(context.Context) (taskdb.Stats, error) {
		t.Error("asked")
		return taskdb.Stats{}, nil
	}
	w.take(t)
}
