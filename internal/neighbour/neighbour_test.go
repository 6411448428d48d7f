package neighbour

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
	"imagemill/pkg/discovery"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func ExampleCompatible() {
	fmt.Println(Compatible("0.3.1+abc", "0.3.9"), Compatible("0.3.1", "0.4.0"), Compatible("1.3.0", "1.9.0"), Compatible("1.9.0", "2.0.0"))
	// Output: true false true false
}

func TestVersionsThatSayNothingFitAll(t *testing.T) {
	for _, v := range []string{"", "test", "v", "1", "a.b.c", "(devel)"} {
		require.True(t, Compatible(v, "1.0.0"), v)
		require.True(t, Compatible("1.0.0", v), v)
	}
	require.True(t, Compatible("v1.2.0", "1.3.0-rc.1+x"))
	require.False(t, Compatible("0.1.0-rc.1", "0.2.0"))
}

// journal is a log that several goroutines write to.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// scene is a watch with a clock that stands still.
type scene struct {
	*Watch
	log     *journal
	now     time.Time
	metrics *prometheus.Registry
}

func newScene() *scene {
	s := &scene{log: &journal{}, now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), metrics: prometheus.NewRegistry()}
	s.Watch = New(Deps{
		Log: slog.New(slog.NewTextHandler(s.log, nil)), Version: "0.2.0+abc", Metrics: s.metrics,
		Now: func() time.Time { return s.now },
	})
	return s
}

func instance(service, id, version string) discovery.Instance {
	return discovery.Instance{ID: id, Service: service, URL: "http://" + id, Version: version}
}

// answer lets the instance, whose clock is ahead by so much, answer at once.
func (s *scene) answer(in discovery.Instance, ahead, took time.Duration) {
	h := http.Header{"Date": {s.now.Add(ahead).UTC().Format(http.TimeFormat)}}
	s.Answered(in, h, took)
}

func TestAForeignVersionIsSaidOncePerInstance(t *testing.T) {
	s := newScene()
	old := instance("storage", "storage-1", "0.1.9+def")
	s.Joined(old)
	s.Joined(instance("taskdb", "taskdb-1", "0.2.7+def")) // a patch is silent
	s.Joined(instance("taskdb", "taskdb-2", "dev"))
	require.Equal(t, 1, strings.Count(s.log.String(), "level=WARN"), s.log)
	for _, part := range []string{"storage-1", "0.1.9+def", "0.2.0+abc", "bring all services to one version"} {
		require.Contains(t, s.log.String(), part)
		require.Contains(t, strings.Join(s.Notices(), "\n"), part)
	}
	require.Len(t, s.Notices(), 1)
	s.Left(old)
	require.Empty(t, s.Notices(), "the upgrade is through")
}

func TestAClockThatIsOffIsSaidOnceAMinute(t *testing.T) {
	for name, c := range map[string]struct {
		ahead time.Duration
		way   string
	}{
		"ahead": {time.Hour, "1h0m0s ahead of this machine"}, "behind": {-time.Hour, "behind this machine"},
		"a few seconds": {8 * time.Second, "ahead of this machine"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			in := instance("storage", "storage-1", "0.2.0")
			s.Joined(in)
			for range 90 {
				s.answer(in, c.ahead, 10*time.Millisecond)
				s.now = s.now.Add(time.Second)
			}
			require.Equal(t, 2, strings.Count(s.log.String(), "level=WARN"), s.log)
			for _, part := range []string{"storage-1", c.way, "NTP", "this machine's clock or its own"} {
				require.Contains(t, s.log.String(), part)
				require.Contains(t, strings.Join(s.Notices(), "\n"), part)
			}
			s.answer(in, 0, 10*time.Millisecond)
			require.Empty(t, s.Notices(), "set right")
		})
	}
}

func TestClocksThatAgreeAreNotSpokenOf(t *testing.T) {
	s := newScene()
	in := instance("storage", "storage-1", "0.2.0")
	s.Joined(in)
	for _, ahead := range []time.Duration{0, time.Second, -time.Second, 4 * time.Second, -4 * time.Second} {
		for _, took := range []time.Duration{0, time.Second, 30 * time.Second} {
			s.answer(in, ahead, took)
			s.now = s.now.Add(3 * time.Minute)
		}
	}
	s.Answered(in, http.Header{}, 0)
	s.Answered(in, http.Header{"Date": {"nonsense"}}, 0)
	s.answer(instance("storage", "unknown", ""), time.Hour, 0)
	require.Empty(t, s.log.String())
	require.Empty(t, s.Notices())
}

// A long poll's answer may have been stamped at any time of the wait.
func TestALongPollAccusesNobodyWrongly(t *testing.T) {
	s := newScene()
	in := instance("imagemaster", "imagemaster-1", "0.2.0")
	s.Joined(in)
	s.answer(in, -20*time.Second, 30*time.Second)
	require.Empty(t, s.Notices())
	s.now = s.now.Add(2 * time.Second)
	s.answer(in, -20*time.Second, time.Millisecond)
	require.Len(t, s.Notices(), 1, "a quick one tells")
	s.now = s.now.Add(2 * time.Second)
	s.answer(in, -20*time.Second, 30*time.Second)
	require.Len(t, s.Notices(), 1, "and a slow one does not take it back")
	s.now = s.now.Add(2 * time.Second)
	s.answer(in, -time.Hour, 30*time.Second)
	require.Contains(t, s.Notices()[0], "59m", "an hour shows even so")
}

func TestWhoseClockIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		offs []time.Duration
		want blame
	}{
		"one neighbour":         {[]time.Duration{time.Hour}, blameUnknown},
		"one of several":        {[]time.Duration{time.Hour, 0, time.Second}, blameThem},
		"all by the same":       {[]time.Duration{time.Hour, time.Hour + time.Second, time.Hour - time.Second}, blameUs},
		"all, by other amounts": {[]time.Duration{time.Hour, -time.Hour, 2 * time.Hour}, blameMixed},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			for i, off := range slices.Backward(c.offs) { // the one that is looked at answers last
				in := instance("storage", fmt.Sprint("storage-", i), "0.2.0")
				s.Joined(in)
				s.answer(in, off, time.Millisecond)
			}
			lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
			require.Contains(t, lines[len(lines)-1], "storage-0")
			require.Contains(t, lines[len(lines)-1], string(c.want))
		})
	}
}

// skewOf is the metric of the one service.
func (s *scene) skewOf(t *testing.T) float64 {
	t.Helper()
	families, err := s.metrics.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	require.Equal(t, "imagemill_clock_skew_seconds", families[0].GetName())
	require.Len(t, families[0].GetMetric(), 1)
	return families[0].GetMetric()[0].GetGauge().GetValue()
}

func TestTheMetricIsThatOfTheWorst(t *testing.T) {
	s := newScene()
	a, b := instance("storage", "storage-1", ""), instance("storage", "storage-2", "")
	for _, in := range []discovery.Instance{a, b} {
		s.Joined(in)
	}
	s.answer(a, 0, time.Millisecond)
	s.answer(b, -time.Hour, time.Millisecond)
	require.InDelta(t, -3600, s.skewOf(t), 1)
	s.Left(b)
	require.Zero(t, s.skewOf(t))
	s.Left(a)
	families, err := s.metrics.Gather()
	require.NoError(t, err)
	require.Empty(t, families)
}

// Run asks a new instance by itself, so that its clock is known at the start; the
// Transport tells of it and of its answers.
func TestANewInstanceIsAskedAtOnce(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		}
	}))
	defer srv.Close()
	log := &journal{}
	w := New(Deps{Log: slog.New(slog.NewTextHandler(log, nil)), Version: "1.0.0"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.Joined(discovery.Instance{ID: "gone-1", Service: "storage", URL: "http://127.0.0.1:1", Version: "1.0.0"})
	w.Joined(discovery.Instance{ID: "storage-1", Service: "storage", URL: srv.URL, Version: "1.0.0"})
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "storage-1") }, time.Minute, time.Millisecond)
	require.Contains(t, log.String(), "behind this machine")
	require.Len(t, w.quiet(), 1, "the one that did not answer is asked again")
	cancel()
	require.NoError(t, <-done)
}
