// Package native is the engine of the container image: it makes the plan of a
// job, lets engine/turbo do the renditions that can take the fast path, and
// engine/vips the rest. Pictures that are tiny go to engine/imaging, because
// starting libvips' machinery costs more than they do.
//
// It is built with the tag "vips" and cgo; without the tag the package is empty.
package native
