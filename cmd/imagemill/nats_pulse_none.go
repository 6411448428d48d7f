//go:build !linux || nonats

package main

// stopNATSPulse has nothing to stop: on other systems the package is not so easily
// reached, and without the NATS server there is none.
func stopNATSPulse() {}
