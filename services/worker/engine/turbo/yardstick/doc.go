// Package yardstick is what package turbo's benchmarks are measured against: a
// loop of libvips' own thumbnail call and encoders, in this process, without
// anything around it. It is for benchmarks and tests only and needs cgo and the
// build tag vips; without them it is empty.
package yardstick
