package main

import (
	"imagemill/services/worker"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/imaging"
)

// abilities are those of the engine that engineCommand runs for a kind.
func abilities(kind string) engine.Abilities {
	if kind == worker.EngineImaging {
		return imaging.Abilities()
	}
	if can, ok := nativeAbilities(); ok {
		return can
	}
	return imaging.Abilities()
}
