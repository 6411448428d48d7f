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
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "goroutines are left:", err)
		return 1
	}
	return 0
}

// suite makes a suite of processes, or skips the test, as it takes seconds.
func suite(t *testing.T, env ...string) *e2e.Processes {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real processes and takes long; run without -short")
	}
	return e2e.NewProcesses(t, os.Getenv(binaryEnv), env...)
}
