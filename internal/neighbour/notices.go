package neighbour

import (
	"fmt"
	"slices"
	"time"
)

// clockNotice says it for people. The lock is held.
func (w *Watch) clockNotice(p *peer) string {
	var all []span
	for _, other := range w.peers {
		if other.known {
			all = append(all, other.clock)
		}
	}
	d, way := p.clock.likely().Truncate(time.Second), "ahead of"
	if d < 0 {
		d, way = -d, "behind"
	}
	return fmt.Sprintf("%s %s is %s %s this machine; likely wrong: %s; set it right by NTP. No image is lost by it",
		p.in.Service, p.in.ID, d, way, whose(p.clock, all))
}

// measure sets the metric of a service. The lock is held.
func (w *Watch) measure(service string) {
	var most time.Duration
	known := false
	for _, p := range w.peers {
		if p.in.Service != service || !p.known {
			continue
		}
		known = true
		if d := p.clock.likely(); d.Abs() >= most.Abs() {
			most = d
		}
	}
	if !known {
		w.skew.DeleteLabelValues(service)
		return
	}
	w.skew.WithLabelValues(service).Set(most.Seconds())
}

// Notices says, for /readyz, what is wrong with the neighbours that are there now.
func (w *Watch) Notices() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, p := range w.peers {
		if p.version != "" {
			out = append(out, p.version)
		}
		if p.known && p.clock.off() {
			out = append(out, w.clockNotice(p))
		}
	}
	slices.Sort(out)
	return out
}
