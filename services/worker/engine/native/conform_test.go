//go:build vips

package native_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/native"
)

// What the abilities promise is true of the engine, in this process and behind
// a pipe.
func TestAbilities(t *testing.T) {
	can, err := native.Abilities()
	require.NoError(t, err)
	enginetest.Conform(t, newEngine(t), can)
}

func TestAbilitiesOfThePool(t *testing.T) {
	can, err := native.Abilities()
	require.NoError(t, err)
	enginetest.Conform(t, newPool(t), can)
}

func TestColours(t *testing.T) { enginetest.Colours(t, newEngine(t)) }

func TestInked(t *testing.T) { enginetest.Inked(t, newEngine(t)) }

func TestReferences(t *testing.T) { enginetest.References(t, newEngine(t)) }

func TestWholePhotographs(t *testing.T) {
	enginetest.WholePhotographs(t, newEngine(t), []pipeline.Format{pipeline.JPEG, pipeline.WebP},
		map[string]string{"jpeg": engine.PathFast, "png": engine.PathPlanes})
}
