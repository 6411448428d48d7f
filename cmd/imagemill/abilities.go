package main

import (
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/imaging"
)

// abilities are those of the engine that engineCommand runs.
func abilities() engine.Abilities { return imaging.Abilities() }
