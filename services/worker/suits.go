package worker

import (
	"strings"

	"errors"
	"slices"

	"imagemill/internal/ability"
	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/imagemaster"
	"imagemill/services/taskdb"
)

// errOthers ends an attempt that another worker can make, and this one cannot.
var errOthers = errors.New("the task is another worker's")

// others lists what the engines of other workers can do that this one's cannot: work
// that needs it is left to them.
func (s *Service) others() (list []ability.Set) {
	own := s.deps.Abilities.Set()
	if s.deps.Engines == nil || own == 0 {
		return nil
	}
	for _, can := range s.deps.Engines() {
		if !own.Covers(can) && len(list) < taskdb.MaxOthers {
			list = append(list, can)
		}
	}
	return list
}

// suits looks once more whether a task is this worker's. It may have been claimed by
// a call that began before the other worker was seen: then it is given back, and the
// next call leaves it. With nobody seen who could, the first attempt is no final one:
// the frontend that took the image in may see a new worker earlier.
func (s *Service) suits(w imagemaster.Work, p pipeline.Pipeline) error {
	own := s.deps.Abilities.Set()
	needs := ability.Needs(p, sniff.ByMIME(w.Original.ContentType))
	if own == 0 || s.deps.Engines == nil || own.Covers(needs) {
		return nil
	}
	switch {
	case slices.ContainsFunc(s.others(), func(can ability.Set) bool { return can.Covers(needs) }):
		return errOthers
	case w.Attempt == 1 && len(s.deps.Engines()) > 0:
		return fault.New(fault.Unavailable, "no worker that can do this is seen yet")
	}
	return nil
}

// engineVersion is by what results are known to be those of the same engine, "" where
// nothing is known of it: with imagemill's own version, since that changes it as well.
func (s *Service) engineVersion() string {
	can := s.deps.Abilities
	if can.Engine == "" {
		return ""
	}
	return strings.Join([]string{can.Engine, can.Version, s.deps.Version}, "/")
}
