// Package engines makes engines by their kinds, and holds the command that runs
// one for a worker. Two programs share it: imagemill, and imagemill-engine, which
// can do nothing else and is the one that is linked with libvips where the rest is
// pure Go.
package engines

import (
	"fmt"

	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/imaging"
)

// New makes the engine of a kind, one of the kinds of package engine, and tells what it can
// do. Auto is the native one where it was built in, else the one in pure Go. The
// error is for the operator: the kind is unknown, was not built in, or libvips
// cannot be used.
func New(kind string) (engine.Engine, engine.Abilities, error) {
	switch kind {
	case engine.KindImaging:
		return imaging.New(), imaging.Abilities(), nil
	case engine.KindNative:
		return newNative()
	case engine.KindAuto:
		if !Native {
			return imaging.New(), imaging.Abilities(), nil
		}
		return newNative()
	}
	return nil, engine.Abilities{}, fmt.Errorf("--engine: %q is not auto, imaging or native", kind)
}
