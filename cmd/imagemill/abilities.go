package main

import (
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/imaging"
)

// abilities are those of the engine that engineCommand runs.
func abilities() engine.Abilities {
	if can, ok := nativeAbilities(); ok {
		return can
	}
	return imaging.Abilities()
}
