//go:build vips

package engines

import (
	"fmt"

	"imagemill/internal/sniff"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/native"
)

// Native reports whether this program holds the native engine.
const Native = true

func newNative(inputs ...string) (engine.Engine, engine.Abilities, error) {
	on := make([]sniff.Format, len(inputs))
	for i, name := range inputs {
		on[i] = sniff.Format(name)
	}
	e, err := native.New(on...)
	if err != nil && len(on) > 0 {
		err = fmt.Errorf("INPUTS: %w", err)
	}
	if err != nil {
		return nil, engine.Abilities{}, err
	}
	can, err := native.Abilities(on...)
	return e, can, err
}
