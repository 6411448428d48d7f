// Package vips is the engine on libvips, by a thin binding of its own: wrap.c
// holds one plain C function for each call that the engine needs, because cgo
// cannot call functions with variable arguments.
//
// It is built with the tag "vips" and cgo; without the tag the package is empty.
// libvips 8.13 is the oldest that is accepted: older ones cannot switch off the
// loaders that libvips itself calls untrusted. Those are switched off at the
// start. The format of an original is decided by internal/sniff, and only the
// loader of that name is called, never the one that libvips would guess.
//
// It promises what engine/imaging does: header and plan are checked before
// anything is decoded, an original is decoded once for all renditions, results
// have exactly the planned sizes, and a truncated file is refused. Colours are
// brought to sRGB by the picture's own profile; a CMYK picture without one goes
// by a profile that libvips brings along.
//
// libvips keeps the text of its last error for the whole process, so an Engine
// makes one picture at a time; others wait. It works in the calling process, and
// libvips ends a process that is out of memory: hostile originals belong into a
// child process (engine/process).
package vips
