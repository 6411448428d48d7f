//go:build !race

package gossip_test

// many is the size of a large cluster.
const many = 50
