package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
)

// programEnv turns the test program into imagemill.
const programEnv = "IMAGEMILL_TEST_PROGRAM"

// TestMain lets this test program be imagemill, for tests of whole processes, and
// its own engine, as imagemill is.
func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		main()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "engine" {
		if err := root().ExecuteContext(context.Background()); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// inProcess is the suite as "imagemill up" runs it, inside this test program.
type inProcess struct {
	url      string
	registry string // as IMAGEMILL_DISCOVERY wants it
}

func (s *inProcess) URL() string { return s.url }

// output collects what is printed, from several goroutines.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

var _ io.Writer = (*output)(nil)

// startUp runs everything in this process until the test ends.
func startUp(t *testing.T) *inProcess {
	t.Helper()
	u := defaultUp()
	u.Data = t.TempDir()
	u.frontend.Serve.Listen = anyPort
	u.storage.MinFree = 0
	ctx, cancel := context.WithCancel(context.Background())
	out, logs, done := &output{}, &output{}, make(chan error, 1)
	s := &inProcess{}
	go func() { done <- u.run(ctx, out, logs) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("up ended with %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", logs)
		}
	})
	require.Eventually(t, func() bool {
		select {
		case err := <-done:
			done <- err
			require.NoError(t, err, "up ended: %s", logs)
		default:
		}
		var found bool
		s.url, found = pageURL(out.String())
		_, after, _ := strings.Cut(out.String(), "Registry   ")
		s.registry, _, _ = strings.Cut(after, "\n")
		return found
	}, 3*time.Minute, 10*time.Millisecond, "up did not greet")
	return s
}

// pageURL finds the address in the greeting.
func pageURL(greeting string) (string, bool) {
	_, rest, found := bytes.Cut([]byte(greeting), []byte("Web page   "))
	url, _, ended := bytes.Cut(rest, []byte("/\n"))
	return string(url), found && ended
}

// TestUp runs the scenarios over the suite in one process.
func TestUp(t *testing.T) {
	e2e.Run(t, startUp(t))
}
