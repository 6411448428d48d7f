package e2e_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"imagemill/e2e"
)

// binaryEnv hands the path of the built program from TestMain to the tests.
const binaryEnv = "IMAGEMILL_E2E_BINARY"

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run builds the program once, unless one was named.
func run(m *testing.M) int {
	if os.Getenv(binaryEnv) != "" {
		return m.Run()
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
	return m.Run()
}

// suite makes a suite of processes, or skips the test, as it takes seconds.
func suite(t *testing.T, env ...string) *e2e.Processes {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real processes and takes long; run without -short")
	}
	return e2e.NewProcesses(t, os.Getenv(binaryEnv), env...)
}
