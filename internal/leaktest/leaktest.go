// Package leaktest has a package's tests fail that leave goroutines behind. It is
// goleak with patience: goleak alone gives those that are about to end less than
// half a second, which a busy machine may not let them have.
package leaktest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines may take to end after the last test.
const patience = 30 * time.Second

// Main runs the tests of a package and exits with their code, or with 1 where they
// passed and goroutines are left. It is called by TestMain. The options say which
// goroutines do not count; goleak.Cleanup is not one that it knows.
func Main(m *testing.M, options ...goleak.Option) {
	os.Exit(Run(m, options...)) //nolint:forbidigo // it is the end of a TestMain
}

// Run is Main for those who have something to do before they exit with the code.
func Run(m *testing.M, options ...goleak.Option) int {
	code := m.Run()
	if code != 0 {
		return code
	}
	if err := find(patience, options...); err != nil {
		fmt.Fprintln(os.Stderr, "goleak: errors on successful test run:", err)
		return 1
	}
	return 0
}

// find looks until nothing is left or the time is over.
func find(within time.Duration, options ...goleak.Option) error {
	end := time.Now().Add(within)
	for {
		err := goleak.Find(options...)
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
