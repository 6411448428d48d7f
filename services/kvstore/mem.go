package kvstore

import "time"

// MemConfig gives the configuration of a node that keeps everything in memory,
// on a free loopback port, and that accepts sessions of 10 ms and more: a real
// node for tests, and for trying things out.
func MemConfig() Config {
	c := DefaultConfig()
	c.HTTP.Listen = "127.0.0.1:0"
	c.HTTP.Linger, c.HTTP.Grace = 0, 5*time.Second
	c.DataDir = ""
	c.SessionTTLMin = 10 * time.Millisecond
	c.RaftHeartbeat = 10 * time.Millisecond
	return c
}
