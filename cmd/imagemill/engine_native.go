//go:build vips

package main

import (
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/native"
)

// nativeBuilt reports whether this program holds the native engine.
const nativeBuilt = true

func newNative() (engine.Engine, error) { return native.New() }

// nativeAbilities is what the native engine can do; false where it cannot start.
func nativeAbilities() (engine.Abilities, bool) {
	can, err := native.Abilities()
	return can, err == nil
}
