package frontend

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"imagemill/internal/ability"
	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
)

// inputsAuto takes in what the workers can read.
const inputsAuto = "auto"

// checkInputs refuses what is no format, and a list of none.
func (c Config) checkInputs() error {
	if len(c.Inputs) == 0 {
		return errors.New("INPUTS: is empty; without any format no upload is taken in")
	}
	if len(c.Inputs) == 1 && c.Inputs[0] == inputsAuto {
		return nil
	}
	known := sniff.Formats()
	for _, name := range c.Inputs {
		if !slices.Contains(known, sniff.Format(name)) {
			return fmt.Errorf("INPUTS: %q is no format; allowed are auto, or of %v", name, known)
		}
	}
	return nil
}

// engines lists what the engines of the workers can do; none if that is not known.
func (s *Service) engines() []ability.Set {
	if s.deps.Engines == nil {
		return nil
	}
	return s.deps.Engines()
}

// inputs lists the formats that are taken in now: of those that are set, what at
// least one of the engines reads. While nothing is known of any, auto means what
// every build of a worker can read.
func (s *Service) inputs(engines []ability.Set) []sniff.Format {
	var read ability.Set
	for _, can := range engines {
		read |= can
	}
	auto := s.cfg.Inputs[0] == inputsAuto
	switch {
	case auto && len(engines) > 0:
		return read.Reads()
	case auto:
		return slices.DeleteFunc(sniff.Formats(), func(f sniff.Format) bool { return !f.Readable() })
	}
	var list []sniff.Format
	for _, name := range s.cfg.Inputs {
		if f := sniff.Format(name); len(engines) == 0 || read.Covers(ability.Reading(f)) {
			list = append(list, f)
		}
	}
	return list
}

// able refuses what no engine at work could carry out: minutes later, it would only
// be a failed image. Fields of a pipeline that came as parameters go by their names.
func able(p pipeline.Pipeline, original sniff.Format, engines []ability.Set, parameters bool) error {
	err := ability.Check(fault.Invalid, p, original, engines...)
	if wrong, ok := errors.AsType[*fault.Error](err); ok && parameters {
		return wrong.WithField(strings.TrimPrefix(wrong.Field, "renditions[0]."))
	}
	return err
}
