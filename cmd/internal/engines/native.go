//go:build vips

package engines

import (
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/native"
)

// Native reports whether this program holds the native engine.
const Native = true

func newNative() (engine.Engine, engine.Abilities, error) {
	e, err := native.New()
	if err != nil {
		return nil, engine.Abilities{}, err
	}
	can, err := native.Abilities()
	return e, can, err
}
