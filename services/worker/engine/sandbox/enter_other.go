//go:build !linux

package sandbox

import "runtime"

// Enter does nothing here, and says so: the features are Linux's. A crash or a
// hang still costs one attempt only, by the process' border.
func Enter(Config) []State {
	return without(Features()[0], "not on "+runtime.GOOS)
}
