//go:build !linux

package process_test

import (
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/imaging"
)

// newIntruder: there are no walls to try here.
func newIntruder() engine.Engine { return imaging.New() }
