package e2e_test

import (
	"testing"

	"imagemill/e2e"
)

// The scenarios pass with every service as a process of its own, and two of
// each that can be two.
func TestProcesses(t *testing.T) {
	p := calmSuite(t)
	p.StartAll(2)
	e2e.Run(t, p)
}
