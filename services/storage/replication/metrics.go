package replication

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	pulled, pulledBytes, readThrough, damaged, healed, scrubbed prometheus.Counter
}

// newMetrics registers what a node counts; reg may be nil.
func newMetrics(n *Node, reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "imagemill_storage_" + name, Help: help})
	}
	m := &metrics{
		pulled:      counter("pulled_blobs_total", "Blobs copied from other storage nodes."),
		pulledBytes: counter("pulled_bytes_total", "Bytes of blobs copied from other storage nodes."),
		readThrough: counter("read_through_total", "Reads of blobs that had to come from other storage nodes first."),
		damaged:     counter("damaged_blobs_total", "Blobs found damaged."),
		healed:      counter("healed_blobs_total", "Damaged or missing blobs that have a good copy again."),
		scrubbed:    counter("scrubbed_blobs_total", "Blobs read by the scrubber."),
	}
	if reg == nil {
		return m
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "imagemill_storage_" + name, Help: help}, value)
	}
	reg.MustRegister(m.pulled, m.pulledBytes, m.readThrough, m.damaged, m.healed, m.scrubbed,
		gauge("lost_blobs", "Blobs without a good copy here now.", func() float64 { return float64(len(n.memory.lost())) }),
		gauge("peers", "Other storage nodes that are there now.", func() float64 { return float64(n.known()) }))
	return m
}
