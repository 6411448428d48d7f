// Package turbo is the short way from a JPEG to smaller JPEGs and WebPs: it
// works straight on libjpeg-turbo and libwebp and never leaves YUV.
//
// The original is decoded once, at 1/1, 1/2, 1/4 or 1/8 by DCT scaling, in
// strips; every plane of a rendition is resampled from the strips as they come
// (Lanczos3, 14 bit fixed point), further renditions from the planes of larger
// ones, and the encoders read the planes as they are. Crops, quarter turns and
// flips are part of the resampling. A 12 MP photograph thus needs some megabytes.
//
// Promises: results have exactly the planned sizes; nothing but pixels reaches
// a result; what cannot be done here is answered with *NotFast before a file is
// written, so that the caller can take another way; a damaged, endless or
// oversized original ends in an error as engine describes them; all memory is
// given back on every path; a done context stops the work within a row of blocks.
//
// It does not judge colour profiles and facts: the plan does. It needs cgo and
// the build tag vips; without them this package is empty.
package turbo
