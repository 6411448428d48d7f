// Package e2e holds one body of scenarios that the whole suite must pass, and
// the topologies that it runs over: everything in one process (run by the tests
// of cmd/imagemill), and every service as a process of its own ([Processes]).
// Scenarios see a running suite as its users do, through the public API.
//
// What kills, pauses and restarts things is in the tests of this package, since
// it takes processes of their own.
package e2e
