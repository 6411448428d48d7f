//go:build race

package gossip_test

// many is smaller with the race detector, which makes fifty members in one process
// too slow to answer each other's probes in time.
const many = 16
