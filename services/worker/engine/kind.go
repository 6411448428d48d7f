package engine

// The kinds of engines that can be asked for.
const (
	KindAuto    = "auto" // native where it is at hand, else imaging
	KindImaging = "imaging"
	KindNative  = "native"
)
