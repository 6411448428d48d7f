package main

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/client"
)

// bench runs the command as a user does, and gives its report.
func bench(t *testing.T, ctx context.Context, args ...string) (report, error) {
	t.Helper()
	cmd := root()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&bytes.Buffer{})
	cmd.SetArgs(append([]string{"bench", "--json"}, args...))
	err := cmd.ExecuteContext(ctx)
	var r report
	if out.Len() > 0 {
		require.NoError(t, json.Unmarshal(out.Bytes(), &r), "%s", out.Bytes())
	}
	return r, err
}

func TestBenchCountsWhatWentWell(t *testing.T) {
	f := newFakeFrontend(t)
	t.Setenv("IMAGEMILL_API_KEY", "0123456789abcdef")
	r, err := bench(t, t.Context(), "--url", f.URL, "--count", "30", "--clients", "3", "--warm", "5", "--verify", "--preset", "default")
	require.NoError(t, err)
	require.Equal(t, []int{3, 30, 0}, []int{r.Clients, r.Count, r.Errors})
	require.Positive(t, r.PerSecond)
	require.InDelta(t, float64(r.Count)/r.Seconds, r.PerSecond, 0.01)
	for _, s := range []spread{r.Upload, r.Total} {
		require.True(t, 0 < s.P50 && s.P50 <= s.P90 && s.P90 <= s.P99 && s.P99 <= s.Max, "%+v", s)
	}
	require.LessOrEqual(t, r.Upload.Max, r.Total.Max)
	require.Len(t, f.pictures, 35, "the warm-up is uploaded, and not counted")
	require.Equal(t, map[string]int{"Bearer 0123456789abcdef": 35}, f.keys)
	require.Equal(t, map[string]int{"preset=default": 35}, f.params)
	unlike := map[string]bool{}
	for _, p := range f.pictures {
		unlike[string(p)] = true
	}
	require.Len(t, unlike, 35, "no two pictures are alike")
}

// As many uploads as there are clients are under way at once, and never more.
func TestBenchKeepsAllClientsBusy(t *testing.T) {
	f := newFakeFrontend(t)
	const clients = 7
	var all sync.WaitGroup
	all.Add(clients)
	f.upload = func(n int, r *http.Request) {
		if n > clients {
			return
		}
		all.Done()
		together := make(chan struct{})
		go func() { all.Wait(); close(together) }()
		select {
		case <-together:
		case <-r.Context().Done():
		}
	}
	r, err := bench(t, t.Context(), "--url", f.URL, "--count", "40", "--clients", "7", "--timeout", "3m")
	require.NoError(t, err)
	require.Equal(t, clients, r.Clients)
	require.Equal(t, clients, f.atOnce)
}

func TestBenchTellsOfErrors(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*fakeFrontend)
		args  []string
		says  string
	}{
		"a refused upload": {spoil: func(f *fakeFrontend) {
			f.refuse = func(n int) int {
				if n == 4 {
					return http.StatusServiceUnavailable
				}
				return 0
			}
		}, says: "upload refused"},
		"a failed picture": {spoil: func(f *fakeFrontend) {
			f.state = func(n int) string {
				if n == 4 {
					return client.Failed
				}
				return ""
			}
		}, says: "image image-4 is failed: that is no image"},
		"a wrong size": {spoil: func(f *fakeFrontend) {
			f.tell = fourth(func(p *client.Picture) { p.Width++ })
		}, args: []string{"--verify"}, says: "is a png of 64×64, not a png of 65×64"},
		"a wrong format": {spoil: func(f *fakeFrontend) {
			f.tell = fourth(func(p *client.Picture) { p.Format = "gif" })
		}, args: []string{"--verify"}, says: "not a gif of 64×64"},
		"a wrong digest": {spoil: func(f *fakeFrontend) {
			f.tell = fourth(func(p *client.Picture) { p.SHA256 = "00" })
		}, args: []string{"--verify"}, says: "not "},
		"no rendition": {spoil: func(f *fakeFrontend) {
			f.tell = fourth(func(p *client.Picture) { p.Name = "" })
		}, args: []string{"--verify"}, says: "without a rendition"},
		"another rendition": {spoil: func(f *fakeFrontend) {
			f.tell = fourth(func(p *client.Picture) { p.Name = "other" })
		}, args: []string{"--verify"}, says: "the pixels of other are wrong"},
		"one wrong pixel": {spoil: func(f *fakeFrontend) {
			f.result = func(n int, right *image.NRGBA) *image.NRGBA {
				if n == 4 {
					right.Pix[4*1000] ^= 0x40
				}
				return right
			}
		}, args: []string{"--verify"}, says: "image image-4: the pixels of default are wrong"},
		"the result of another picture": {spoil: func(f *fakeFrontend) {
			f.result = func(n int, right *image.NRGBA) *image.NRGBA {
				if n == 4 {
					f.mu.Lock()
					defer f.mu.Unlock()
					return swapped(f.pictures[0])
				}
				return right
			}
		}, args: []string{"--verify"}, says: "image image-4: the pixels of default are wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeFrontend(t)
			c.spoil(f)
			r, err := bench(t, t.Context(), append([]string{"--url", f.URL, "--count", "10", "--clients", "2"}, c.args...)...)
			require.ErrorContains(t, err, "1 of 10 pictures went wrong; the first: ")
			require.ErrorContains(t, err, c.says)
			require.Equal(t, []int{10, 1}, []int{r.Count, r.Errors})
			require.Contains(t, r.FirstError, c.says)
			require.Positive(t, r.Total.P50, "the times are of the others")
		})
	}
}

// fourth is a hook for the fourth upload.
func fourth(change func(*client.Picture)) func(int, *client.Picture) {
	return func(n int, p *client.Picture) {
		if n == 4 {
			change(p)
		}
	}
}

func TestBenchOfAFrontendThatIsAway(t *testing.T) {
	f := newFakeFrontend(t)
	f.refuse = func(int) int { return http.StatusTooManyRequests }
	r, err := bench(t, t.Context(), "--url", f.URL, "--count", "5", "--clients", "9")
	require.ErrorContains(t, err, "5 of 5 pictures went wrong")
	require.Equal(t, 5, r.Errors)
	require.Zero(t, r.PerSecond)
	require.Zero(t, r.Total)
	require.Len(t, f.pictures, 5, "nothing is repeated")
}

// An interrupt ends a measurement at once, with what there is, and as a failure.
func TestBenchEndsWhenInterrupted(t *testing.T) {
	f := newFakeFrontend(t)
	ctx, interrupt := context.WithCancel(t.Context())
	f.upload = func(n int, r *http.Request) {
		if n == 5 {
			interrupt()
		}
		if n >= 5 {
			<-r.Context().Done() // never answered
		}
	}
	r, err := bench(t, ctx, "--url", f.URL, "--count", "1000", "--clients", "2", "--timeout", "1h", "--verify")
	require.ErrorContains(t, err, "went wrong")
	require.Equal(t, 1000, r.Count)
	require.GreaterOrEqual(t, r.Errors, 996)
	f.mu.Lock() // the last ones may still arrive
	defer f.mu.Unlock()
	require.LessOrEqual(t, len(f.pictures), 7, "what had not begun is not begun")
	require.Contains(t, r.FirstError, context.Canceled.Error())
}

func TestBenchLimitsEachPicture(t *testing.T) {
	var r report
	var err error
	for _, limit := range []string{"300ms", "3s", "30s"} { // the others may take as long as the shorter ones where the machine stands still
		f := newFakeFrontend(t)
		f.upload = func(n int, r *http.Request) {
			if n == 2 {
				<-r.Context().Done()
			}
		}
		r, err = bench(t, t.Context(), "--url", f.URL, "--count", "3", "--clients", "1", "--timeout", limit)
		if r.Errors == 1 {
			break
		}
	}
	require.ErrorContains(t, err, "1 of 3 pictures went wrong")
	require.Contains(t, r.FirstError, context.DeadlineExceeded.Error())
}

func TestBenchRefusesWrongSettings(t *testing.T) {
	for says, args := range map[string][]string{
		"--clients: 0": {"--clients", "0"}, "--clients: 10001": {"--clients", "10001"}, "--count: 0": {"--count", "0"},
		"--warm: -1": {"--warm", "-1"}, "--timeout: 0s": {"--timeout", "0s"},
		"--preset, --query": {"--preset", "small", "--query", "width=3"}, "--engine, --verify": {"--engine", "--verify"},
		"--query: ": {"--query", "width=%zz"}, "--picture: ": {"--picture", "no such file"}, "--url: ": {"--url", "nowhere"},
		"is not built in": {"--engine", "--preset", "mine"},
	} {
		_, err := bench(t, t.Context(), args...)
		require.ErrorContains(t, err, says)
	}
}

func TestBenchUploadsAFile(t *testing.T) {
	f := newFakeFrontend(t)
	next, err := pictures("tiny")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "p.png")
	require.NoError(t, os.WriteFile(path, next(), 0o600))
	// The server's own preset: what it looks like is not known here.
	r, err := bench(t, t.Context(), "--url", f.URL, "--count", "2", "--picture", path, "--preset", "mine", "--verify")
	require.NoError(t, err)
	require.Zero(t, r.Errors)
	require.Equal(t, f.pictures[0], f.pictures[1])
}

func TestBenchEngineAlone(t *testing.T) {
	r, err := bench(t, t.Context(), "--engine", "--count", "3", "--clients", "2", "--query", "width=8")
	require.NoError(t, err)
	require.Zero(t, r.Errors)
	require.Positive(t, r.Total.P50)
}

func TestSpreadIsOfTheNearestRank(t *testing.T) {
	var times []time.Duration
	for i := 200; i > 0; i-- {
		times = append(times, time.Duration(i)*time.Millisecond)
	}
	require.Equal(t, spread{P50: 100, P90: 180, P99: 198, Max: 200}, spreadOf(times))
	require.Equal(t, spread{P50: 7, P90: 7, P99: 7, Max: 7}, spreadOf([]time.Duration{7 * time.Millisecond}))
	require.Zero(t, spreadOf(nil))
}

func TestReportForPeople(t *testing.T) {
	var b bytes.Buffer
	r := summarize([]sample{{upload: time.Millisecond, total: 3 * time.Millisecond}, {err: context.Canceled}}, 2*time.Second, 4)
	require.NoError(t, r.print(&b, false))
	require.Contains(t, b.String(), "2 pictures by 4 clients in 2.00 s: 0.5 a second, 1 errors")
	require.Regexp(t, `upload to finished +3\.0 +3\.0 +3\.0 +3\.0`, b.String())
}
