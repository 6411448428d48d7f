//go:build !vips

package engines

import (
	"errors"

	"imagemill/services/worker/engine"
)

// Native reports whether this program holds the native engine.
const Native = false

// newNative says how a program with the native engine is built.
func newNative(...string) (engine.Engine, engine.Abilities, error) {
	return nil, engine.Abilities{}, errors.New("--engine: native is not part of this program; build cmd/imagemill-engine with cgo, libvips " +
		"and -tags vips, and put it beside imagemill, or choose imaging")
}
