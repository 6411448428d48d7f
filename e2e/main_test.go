package e2e_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"imagemill/e2e"
)

// binaryEnv hands the path of the built program from TestMain to the tests.
const binaryEnv = "IMAGEMILL_E2E_BINARY"

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run builds the program once, unless one was named.
func run(m *testing.M) int {
	if os.Getenv(binaryEnv) != "" {
		return runAll(m)
	}
	dir, err := os.MkdirTemp("", "imagemill-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary, err := e2e.Build(context.Background(), dir)
	if err == nil {
		err = os.Setenv(binaryEnv, binary)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return runAll(m)
}

// runAll runs the tests, and has none leave a goroutine behind.
func runAll(m *testing.M) int {
	code := m.Run()
	if code != 0 {
		return code
	}
	var err error
	for range 60 { // each look takes half a second, which a busy machine may not have for those that end
		if err = goleak.Find(); err == nil {
			return 0
		}
	}
	fmt.Fprintln(os.Stderr, "goroutines are left:", err)
	return 1
}

// suite makes a suite of processes, or skips the test, as it takes seconds.
func suite(t *testing.T, env ...string) *e2e.Processes {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real processes and takes long; run without -short")
	}
	return e2e.NewProcesses(t, os.Getenv(binaryEnv), env...)
}

// calmSuite is a suite in which nobody is given up who only stands still for some
// seconds, as on a busy machine: for tests in which a lost session or lease, or a
// refusal for want of time, would be an accident.
func calmSuite(t *testing.T, env ...string) *e2e.Processes {
	t.Helper()
	return suite(t, append([]string{
		"IMAGEMILL_DISCOVERY_TTL=15s", "IMAGEMILL_TASKDB_LEASE=1m", "IMAGEMILL_IMAGEMASTER_LEASE=1m",
		"IMAGEMILL_IMAGEMASTER_RECORD_TIMEOUT=30s", "IMAGEMILL_IMAGEMASTER_ORPHAN_AGE=1m", "IMAGEMILL_TASKDB_TIMEOUT=30s",
	}, env...)...)
}
