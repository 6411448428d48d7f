package worker

import (
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/services/worker/admission"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/header"
	"imagemill/services/worker/engine/plan"
)

// budget is the memory for all jobs together, with the default filled in.
func (c Config) budget() int64 {
	if c.Budget > 0 {
		return int64(c.Budget)
	}
	return admission.DefaultBudget(os.DirFS("/"))
}

// estimate says how much memory a job will need at most, from the header of its
// original, and refuses what is beyond the limits before an engine sees it. Encoders
// of the job that work side by side count; it is told to do with fewer where all
// that there may be would be too much.
func (s *Service) estimate(job *engine.Job) (int64, error) {
	limits := job.Limits.WithDefaults()
	info, err := header.Open(job.Source, limits.Frames)
	switch fault.KindOf(err) {
	case "":
	case fault.Unsupported, fault.Unprocessable:
		if info.Format == "" {
			return 0, nil // no picture: no engine will decode it
		}
		// Another sort of header, or a damaged one: the engine says in which way. As
		// nothing is known, it counts as large as it may be, and not as too large.
		return s.withinBudget(plan.Most(limits)), nil
	default:
		return 0, err
	}
	if err := limits.CheckInput(sniff.Format(info.Format).Name(), info.Picture); err != nil {
		return 0, err
	}
	if err := limits.CheckOutput(job.Pipeline, info.Picture); err != nil {
		return 0, err
	}
	can := s.deps.Abilities
	for {
		p, err := plan.Make(job.Pipeline, info.Picture, can)
		if err != nil || can.Abreast < 2 || s.roomy(p.Memory) {
			return p.Memory, err
		}
		can.Abreast /= 2
		job.Threads = max(can.Abreast, 1)
	}
}

// roomy reports whether an estimate is within what there is for one job.
func (s *Service) roomy(need int64) bool {
	budget, engine := s.gate.Budget(), int64(s.cfg.Memory)
	return (budget <= 0 || need <= budget) && (engine <= 0 || need <= engine)
}

// withinBudget bounds a guess.
func (s *Service) withinBudget(guess int64) int64 {
	if b := s.gate.Budget(); b > 0 {
		return min(guess, b)
	}
	return guess
}

// measure registers what /metrics tells of the memory for jobs.
func (s *Service) measure() {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	s.deps.Metrics.MustRegister(
		gauge("imagemill_worker_memory_budget_bytes", "Memory that all jobs may need together.",
			func() float64 { return float64(s.gate.Budget()) }),
		gauge("imagemill_worker_memory_reserved_bytes", "Memory that the jobs let in are estimated to need.",
			func() float64 { return float64(s.gate.Reserved()) }),
		gauge("imagemill_worker_waiting_jobs", "Jobs that wait until there is memory for them.",
			func() float64 { return float64(s.gate.Waiting()) }))
}
