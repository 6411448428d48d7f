package main

import (
	"fmt"

	"imagemill/services/worker"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/imaging"
)

// newEngine makes the engine of a kind, one of worker.EngineKinds. Auto is the
// native one where it was built in and works, else the one in pure Go.
func newEngine(kind string) (engine.Engine, error) {
	switch kind {
	case worker.EngineImaging:
		return imaging.New(), nil
	case worker.EngineNative:
		return newNative()
	case worker.EngineAuto:
		if !nativeBuilt {
			return imaging.New(), nil
		}
		return newNative()
	}
	return nil, fmt.Errorf("--engine: %q is not auto, imaging or native", kind)
}
