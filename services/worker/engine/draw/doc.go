// Package draw is what all engines draw alike, in pure Go: letters, rounded
// corners, and the places of watermarks. Engines that keep pixels elsewhere take
// its rasters and coordinates and do the mixing themselves; [Over] and [Round]
// do it for pictures in Go.
//
// Everything is clipped to the picture before it is made: nothing that is asked
// for can become larger than what it is drawn on. The package knows no files.
package draw
