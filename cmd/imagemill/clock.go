//go:build !faultlab

package main

import "time"

// wallClock is the clock of what outlives a process: leases, schedules, stamps.
var wallClock = time.Now
