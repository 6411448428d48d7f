package worker

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
	"imagemill/services/worker/engine"
)

func TestAnImageIsFinished(t *testing.T) {
	m := newMill(t, render(paint), nil)
	stop, done := m.start(t)
	task := m.reaches(t, m.take(t), is(taskdb.Finished))
	require.Equal(t, "w-1", task.Result.Worker)
	require.Equal(t, "paint", task.Result.Engine)
	require.Equal(t, 4, task.Result.Width)
	require.Len(t, task.Result.Renditions, 2)
	for _, r := range task.Result.Renditions {
		info, err := m.blobs.Stat(t.Context(), storage.Ref{State: storage.Finished, Key: r.Key})
		require.NoError(t, err)
		require.Equal(t, info.SHA256, r.SHA256)
	}
	stop()
	require.NoError(t, receive(t, done))
	m.requireNoScratch(t)
}

func TestHowAnAttemptFails(t *testing.T) {
	for name, tc := range map[string]struct {
		err       error
		state     taskdb.State
		reason    string
		retryable bool
		died      bool
	}{
		"a bad picture":        {fault.New(fault.Unprocessable, "that is no picture"), taskdb.Failed, "that is no picture", false, false},
		"a passing trouble":    {fault.New(fault.Unavailable, "no room"), taskdb.NotStarted, "no room", true, false},
		"a time that ran out":  {fault.New(fault.DeadlineExceeded, "too long"), taskdb.NotStarted, "too long", true, false},
		"an engine that died":  {engine.Dead("the engine was killed", "oops"), taskdb.NotStarted, "the engine was killed", true, true},
		"an error of any kind": {errors.New("the secret cause"), taskdb.NotStarted, "something went wrong on our side; the request ID finds it in the log", true, false},
		"no sentence":          {fault.New(fault.Unsupported, ""), taskdb.Failed, "the image could not be processed", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMill(t, render(func(context.Context, engine.Job) (engine.Report, error) { return engine.Report{}, tc.err }), nil)
			id := m.take(t)
			m.start(t)
			task := m.reaches(t, id, func(t taskdb.Task) bool { return t.State == tc.state && len(t.Failures) == 1 })
			got := task.Failures[0]
			require.Equal(t, tc.reason, got.Reason)
			require.Equal(t, []bool{tc.retryable, tc.died}, []bool{got.Retryable, got.Died})
			require.Equal(t, "w-1", got.Worker)
			require.Equal(t, tc.died, task.Deaths == 1)
			require.Len(t, m.master.failures(), 1)
		})
	}
}

func TestADamagedOriginalIsNotRendered(t *testing.T) {
	var rendered atomic.Bool
	m := newMill(t, render(func(ctx context.Context, job engine.Job) (engine.Report, error) {
		rendered.Store(true)
		return paint(ctx, job)
	}), nil)
	id := m.take(t)
	_, err := m.blobs.Put(t.Context(), imagemaster.OriginalRef(id), empty{}, storage.PutOptions{Size: 0})
	require.NoError(t, err)
	m.start(t)
	task := m.reaches(t, id, func(t taskdb.Task) bool { return len(t.Failures) == 1 })
	require.Contains(t, task.Failures[0].Reason, "damaged")
	require.False(t, rendered.Load())
}

// empty is an empty body.
type empty struct{}

func (empty) Read([]byte) (int, error) { return 0, io.EOF }

func TestResultsOfALostLeaseAreDropped(t *testing.T) {
	t.Run("found at the report", func(t *testing.T) {
		var once atomic.Bool
		m := newMill(t, render(paint), nil)
		m.master.finished = func(imagemaster.FinishedWork) error {
			if once.CompareAndSwap(false, true) {
				return fault.New(fault.Conflict, "the lease is lost")
			}
			return nil
		}
		work := m.claim(t)
		m.carryOut(t.Context(), work)
		require.Zero(t, m.results(t))
		m.requireNoScratch(t)
	})
	t.Run("found by a renewal", func(t *testing.T) {
		m := newMill(t, render(func(ctx context.Context, job engine.Job) (engine.Report, error) {
			<-ctx.Done()
			rep, _ := paint(ctx, job)
			return rep, ctx.Err()
		}), nil)
		work := m.claim(t)
		m.master.progress = func(imagemaster.ProgressReport) error { return fault.New(fault.Conflict, "the lease is lost") }
		ref := imagemaster.RenditionRef(work.ID, work.Attempt, "a")
		_, err := m.blobs.Put(t.Context(), ref, empty{}, storage.PutOptions{Size: 0})
		require.NoError(t, err)
		m.carryOut(t.Context(), work)
		require.Zero(t, m.results(t))
		require.Empty(t, m.master.failures(), "it has no say any more")
	})
}

// The user's cancel reaches the worker with its next renewal: the engine is stopped,
// nothing of the result stays, and the attempt has no say any more.
func TestACancelledImageStopsItsEngine(t *testing.T) {
	var m *mill
	var stopped error
	m = newMill(t, render(func(ctx context.Context, job engine.Job) (engine.Report, error) {
		page, err := m.tasks.List(ctx, taskdb.InProgress, "", 1)
		require.NoError(t, err)
		_, err = m.master.Cancel(ctx, "", page.Tasks[0].ID)
		require.NoError(t, err)
		select {
		case <-ctx.Done():
			stopped = ctx.Err()
		case <-time.After(patience):
		}
		rep, _ := paint(ctx, job) // it was done in that moment
		return rep, nil
	}), nil)
	work := m.claim(t)
	m.carryOut(t.Context(), work)
	require.ErrorIs(t, stopped, context.Canceled)
	require.Zero(t, m.results(t))
	require.Empty(t, m.master.failures())
	task, err := m.tasks.Get(t.Context(), work.ID)
	require.NoError(t, err)
	require.Equal(t, taskdb.Cancelled, task.State)
	require.Empty(t, task.Failures)
	m.requireNoScratch(t)
}

func TestAnUnclearAnswerKeepsTheResult(t *testing.T) {
	m := newMill(t, render(paint), func(c *Config) { c.ReportTime = tick })
	m.master.finished = func(imagemaster.FinishedWork) error { return fault.New(fault.Unavailable, "nobody is there") }
	m.carryOut(t.Context(), m.claim(t))
	require.Equal(t, 2, m.results(t), "the report may have been taken")
}

func TestAReportIsRepeated(t *testing.T) {
	m := newMill(t, render(paint), nil)
	var calls atomic.Int32
	m.master.finished = func(imagemaster.FinishedWork) error {
		if calls.Add(1) == 1 {
			return fault.New(fault.Unavailable, "nobody is there")
		}
		return nil
	}
	work := m.claim(t)
	m.carryOut(t.Context(), work)
	m.reaches(t, work.ID, is(taskdb.Finished))
	require.EqualValues(t, 2, calls.Load())
}

func TestALeaseIsRenewedThroughAMastersAbsence(t *testing.T) {
	renewals := make(chan struct{}, 64)
	m := newMill(t, render(func(ctx context.Context, job engine.Job) (engine.Report, error) {
		for range 2 {
			select {
			case <-renewals:
			case <-ctx.Done():
				return engine.Report{}, ctx.Err()
			}
		}
		return paint(ctx, job)
	}), nil)
	m.master.progress = func(imagemaster.ProgressReport) error {
		select {
		case renewals <- struct{}{}:
		default:
		}
		return fault.New(fault.Unavailable, "nobody is there")
	}
	work := m.claim(t)
	m.carryOut(t.Context(), work)
	m.reaches(t, work.ID, is(taskdb.Finished))
}

func (m *mill) claim(t *testing.T) imagemaster.Work {
	t.Helper()
	m.take(t)
	work, err := m.master.Master.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w-1", Max: 1})
	require.NoError(t, err)
	require.Len(t, work, 1)
	return work[0]
}

// held is an engine that waits to be let go, or for the end of its context.
func held() (eng engine.Engine, began chan struct{}, letGo chan struct{}) {
	began, letGo = make(chan struct{}, 1), make(chan struct{})
	return render(func(ctx context.Context, job engine.Job) (engine.Report, error) {
		began <- struct{}{}
		select {
		case <-letGo:
			return paint(ctx, job)
		case <-ctx.Done():
			return engine.Report{}, fault.Wrap(fault.Canceled, "stopped", ctx.Err())
		}
	}), began, letGo
}

func TestAStopFinishesWhatIsInHand(t *testing.T) {
	eng, began, letGo := held()
	m := newMill(t, eng, nil)
	id := m.take(t)
	stop, done := m.start(t)
	receive(t, began)
	stop()
	close(letGo)
	require.NoError(t, receive(t, done))
	task, err := m.tasks.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, taskdb.Finished, task.State)
}

func TestWhatTheGraceTimeDoesNotCoverIsGivenBack(t *testing.T) {
	eng, began, _ := held()
	m := newMill(t, eng, func(c *Config) { c.Serve.Grace = tick })
	id := m.take(t)
	stop, done := m.start(t)
	receive(t, began)
	stop()
	require.NoError(t, receive(t, done))
	task, err := m.tasks.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, taskdb.NotStarted, task.State)
	require.Zero(t, task.Tries, "no try is used up")
	m.requireNoScratch(t)
}

func TestAMasterThatIsAwayIsAskedAgain(t *testing.T) {
	m := newMill(t, render(paint), nil)
	asked := make(chan time.Time, 64)
	m.master.getWork = func(context.Context, imagemaster.WorkRequest) ([]imagemaster.Work, error) {
		asked <- time.Now()
		return nil, fault.New(fault.Unavailable, "nobody is there")
	}
	stop, done := m.start(t)
	first, second := receive(t, asked), receive(t, asked)
	require.GreaterOrEqual(t, second.Sub(first), pauseMin/2)
	stop()
	require.NoError(t, receive(t, done))
}

func TestNewChecks(t *testing.T) {
	_, err := New(DefaultConfig(), Deps{})
	require.ErrorContains(t, err, "Deps needs")
	for setting, spoil := range map[string]func(*Config){
		"LISTEN":       func(c *Config) { c.Serve.Listen = "nowhere" },
		"ENGINES":      func(c *Config) { c.Engines = -1 },
		"IN_FLIGHT":    func(c *Config) { c.Engines, c.InFlight = 4, 3 },
		"WAIT":         func(c *Config) { c.Wait = 0 },
		"REPORT_TIME":  func(c *Config) { c.ReportTime = 0 },
		"WALL_TIME":    func(c *Config) { c.WallTime = 0 },
		"INPUT_PIXELS": func(c *Config) { c.InputPixels = 0 },
		"RECYCLE":      func(c *Config) { c.Recycle = -1 },
	} {
		cfg := DefaultConfig()
		spoil(&cfg)
		require.ErrorContains(t, cfg.Validate(), setting)
	}
	require.NoError(t, DefaultConfig().Validate())
}

// Work whose answer is on its way when a stop begins is done, not left to its
// lease.
func TestAStopTakesWorkThatIsOnItsWay(t *testing.T) {
	m := newMill(t, render(paint), nil)
	id := m.take(t)
	asked, stopped := make(chan struct{}, 8), make(chan struct{})
	var began time.Time // of the stop
	var early atomic.Bool
	m.master.getWork = func(ctx context.Context, r imagemaster.WorkRequest) ([]imagemaster.Work, error) {
		asked <- struct{}{}
		<-stopped
		select { // the answer takes a little longer than the stop
		case <-ctx.Done():
			early.Store(time.Since(began) < lastCall)
		case <-time.After(lastCall / 5):
		}
		return m.master.Master.GetWork(context.WithoutCancel(ctx), r)
	}
	stop, done := m.start(t)
	receive(t, asked)
	began = time.Now()
	stop()
	close(stopped)
	require.NoError(t, receive(t, done))
	require.False(t, early.Load(), "the call was broken off too early")
	task, err := m.tasks.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, taskdb.Finished, task.State)
}
