package enginetest

import (
	"testing"

	"imagemill/services/worker/engine"
)

// Conform holds an engine to everything that its abilities say it can do. Run
// holds it to what all engines can, and comes first.
func Conform(t *testing.T, e engine.Engine, can engine.Abilities) {
	c := conformance{Suite{e}, can}
	t.Run("new operations", c.newOperations)
	t.Run("new sizes", c.newSizes)
	t.Run("smart crops", c.smartCrops)
	t.Run("watermarks", c.watermarks)
	t.Run("texts", c.texts)
	t.Run("every operation in every format", c.everyOperationInEveryFormat)
	t.Run("cuts", c.cuts)
	t.Run("inputs", c.inputs)
	t.Run("profiles", c.profiles)
	t.Run("quality", c.quality)
	t.Run("palettes", c.palettes)
	t.Run("metadata", c.metadata)
	t.Run("camera pictures", c.cameraPictures)
	t.Run("places", c.places)
	t.Run("animations", c.animations)
	t.Run("cascade", c.cascade)
	t.Run("what cannot be had", c.refusals)
}

// conformance is a suite that knows what the engine can do.
type conformance struct {
	Suite
	can engine.Abilities
}
