//go:build linux && !nonats

package main

import (
	"strings"
	_ "unsafe" // for go:linkname

	_ "github.com/nats-io/nats-server/v2/server/pse" // whose variable is named below
)

// natsStatFile is the file that the NATS server's package reads once a second to
// know how busy the process is: from the start of every process that the package
// is linked into, be it a worker's engine, which wakes each of them for nothing.
//
//go:linkname natsStatFile github.com/nats-io/nats-server/v2/server/pse.procStatFile
var natsStatFile string

// stopNATSPulse ends that: the package gives up where it cannot read. Nothing
// here asks for what it measures. The name stays as long as it was, so that a
// look that is under way is not led astray.
func stopNATSPulse() { natsStatFile = strings.Replace(natsStatFile, "/proc", "/none", 1) }
