//go:build faultlab

package main

import (
	"os"
	"strings"
	"time"
)

// wallClock is a clock that the fault lab sets: FAULTLAB_CLOCK names a file that says,
// as a duration, how far it is ahead of the machine's. No file is none.
func wallClock() time.Time {
	now := time.Now()
	said, err := os.ReadFile(os.Getenv("FAULTLAB_CLOCK"))
	if err != nil {
		return now
	}
	ahead, err := time.ParseDuration(strings.TrimSpace(string(said)))
	if err != nil {
		panic("FAULTLAB_CLOCK: " + err.Error())
	}
	return now.Add(ahead).Round(0) // as of a clock that was set: there is no other to compare with
}
