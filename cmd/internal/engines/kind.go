// Package engines makes engines by their kinds, and holds the command that runs
// one for a worker. Two programs share it: imagemill, and imagemill-engine, which
// can do nothing else and is the one that is linked with libvips where the rest is
// pure Go.
package engines

import (
	"fmt"
	"strings"

	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/imaging"
)

// New makes the engine of a kind, one of the kinds of package engine, and tells what it can
// do. Auto is the native one where it was built in, else the one in pure Go. It
// reads, beside the usual formats, those that are named, which only the native one
// can. The error is for the operator: the kind is unknown, was not built in, or
// libvips cannot be used, or not for one of those formats.
func New(kind string, inputs ...string) (engine.Engine, engine.Abilities, error) {
	if len(inputs) > 0 && (kind == engine.KindImaging || kind == engine.KindAuto && !Native) {
		return nil, engine.Abilities{}, fmt.Errorf("INPUTS: %s can be read by the native engine only, which was not chosen, or is not part of "+
			"this program; it is built with cgo, libvips and -tags vips", strings.Join(inputs, ", "))
	}
	switch kind {
	case engine.KindImaging:
		return imaging.New(), imaging.Abilities(), nil
	case engine.KindNative:
		return newNative(inputs...)
	case engine.KindAuto:
		if !Native {
			return imaging.New(), imaging.Abilities(), nil
		}
		return newNative(inputs...)
	}
	return nil, engine.Abilities{}, fmt.Errorf("--engine: %q is not auto, imaging or native", kind)
}
