//go:build !vips

package main

import (
	"errors"

	"imagemill/services/worker/engine"
)

// nativeBuilt reports whether this program holds the native engine.
const nativeBuilt = false

// newNative says how a program with the native engine is built.
func newNative() (engine.Engine, error) {
	return nil, errors.New("--engine: native is not part of this program; build it with cgo, libvips and -tags vips, or choose imaging")
}

func nativeAbilities() (engine.Abilities, bool) { return engine.Abilities{}, false }
