package process

import (
	"fmt"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"imagemill/services/worker/engine/sandbox"
)

// walls is what isolates the children, as the first of them has reported; all run
// under the same kernel.
type walls struct {
	once  sync.Once
	gauge *prometheus.GaugeVec

	mu     sync.Mutex
	states []sandbox.State
}

func newWalls(metrics prometheus.Registerer) walls {
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "imagemill_worker_sandbox",
		Help: "What isolates the engine processes: 1 for a feature in force, 0 for one that is not to be had or switched off.",
	}, []string{"feature"})
	if metrics != nil {
		metrics.MustRegister(gauge)
	}
	return walls{gauge: gauge}
}

// isolated takes in what c has reported. What is missing is said once; it is an
// error if the configuration requires all.
func (p *Pool) isolated(c *child) error {
	w := &p.walls
	w.once.Do(func() {
		w.mu.Lock()
		w.states = c.sandbox
		w.mu.Unlock()
		for _, s := range c.sandbox {
			w.gauge.WithLabelValues(string(s.Feature)).Set(map[bool]float64{true: 1}[s.Active])
		}
		if missing := sandbox.Missing(c.sandbox); len(missing) > 0 {
			p.log.Warn("engine processes are not isolated in every way", "sandbox", p.cfg.Sandbox, "missing", join(missing))
			return
		}
		p.log.Info("engine processes are isolated", "sandbox", p.cfg.Sandbox, "by", join(c.sandbox))
	})
	if lacks := sandbox.Lacks(c.sandbox); lacks != "" && p.cfg.Sandbox == SandboxRequired {
		return fmt.Errorf("a sandbox is required for engines, but here it lacks %s", lacks)
	}
	return nil
}

// Notices says what of the sandbox is not in force, for an operator to see; empty
// if nothing essential is missing, or no child has started yet.
func (p *Pool) Notices() []string {
	p.walls.mu.Lock()
	states := p.walls.states
	p.walls.mu.Unlock()
	if states == nil {
		return nil
	}
	if lacks := sandbox.Lacks(states); lacks != "" {
		return []string{"engine processes are not fully isolated: " + lacks}
	}
	return nil
}

func join(states []sandbox.State) string {
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = s.String()
	}
	return strings.Join(names, ", ")
}
