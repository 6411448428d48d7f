package frontend

import (
	"errors"
	"fmt"
	"slices"

	"imagemill/internal/sniff"
)

// defaultInputs are the formats that every build of a worker can read.
func defaultInputs() []string {
	var names []string
	for _, f := range sniff.Formats() {
		if f.Readable() {
			names = append(names, string(f))
		}
	}
	return names
}

// checkInputs refuses what is no format, and a list of none.
func (c Config) checkInputs() error {
	if len(c.Inputs) == 0 {
		return errors.New("INPUTS: is empty; without any format no upload is taken in")
	}
	known := sniff.Formats()
	for _, name := range c.Inputs {
		if !slices.Contains(known, sniff.Format(name)) {
			return fmt.Errorf("INPUTS: %q is no format; allowed are %v", name, known)
		}
	}
	return nil
}
