//go:build vips

package turbo

/*
#cgo pkg-config: libjpeg libwebp
#cgo CFLAGS: -O3 -Wall
#cgo LDFLAGS: -lm
#include "turbo.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"imagemill/internal/fault"
)

// call is what every call into C is given: a flag that ends the work, and room
// for how it ended.
type call struct {
	ctx    context.Context
	cancel *int32
}

// begin watches ctx until the returned function is called.
func begin(ctx context.Context) (call, func() bool) {
	c := call{ctx, new(int32)}
	return c, context.AfterFunc(ctx, func() { atomic.StoreInt32(c.cancel, 1) })
}

// flag is for C, which reads it as an int of 32 bits.
func (c call) flag() *C.int { return (*C.int)(unsafe.Pointer(c.cancel)) }

// failed turns a status into an error.
func (c call) failed(s *C.turbo_status) error {
	text := C.GoString(&s.message[0])
	switch s.code {
	case C.TURBO_NOT_FAST:
		return notFast("%s", text)
	case C.TURBO_TRUNCATED:
		return fault.Wrap(fault.Unprocessable, "the JPEG ends before the picture is complete", errors.New(text))
	case C.TURBO_DAMAGED:
		return fault.Newf(fault.Unprocessable, "the JPEG is damaged (%s)", text)
	case C.TURBO_TOO_LARGE:
		return fault.Newf(fault.TooLarge, "the JPEG takes too much to decode (%s)", text)
	case C.TURBO_CANCELLED:
		return expired(c.ctx)
	case C.TURBO_NO_MEMORY:
		return fault.Wrap(fault.Unavailable, "there is not enough memory now", errors.New(text))
	case C.TURBO_UNREADABLE:
		return fault.Wrap(fault.Unavailable, "the original cannot be read now", errors.New(text))
	}
	return fmt.Errorf("fast path: %s", text)
}

// expired turns a done context into a failure of its kind.
func expired(ctx context.Context) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(fault.DeadlineExceeded, "the picture took longer than is allowed", err)
	default:
		return fault.Wrap(fault.Canceled, "the work on the picture was cancelled", err)
	}
}

// source is an opened JPEG. close it.
type source struct {
	head
	file *os.File
	c    *C.turbo_source
}

// open reads the header of a JPEG; its decoder may take memory bytes for itself.
func open(c call, file *os.File, memory int64) (*source, error) {
	var status C.turbo_status
	var h C.turbo_header
	s := &source{file: file}
	if C.turbo_open(&s.c, C.int(file.Fd()), C.long(memory), &h, &status) != C.TURBO_OK {
		return nil, c.failed(&status)
	}
	s.head = head{width: int(h.width), height: int(h.height), components: int(h.components), progressive: h.progressive != 0}
	for i := range s.components {
		s.across[i], s.down[i] = int(h.h[i]), int(h.v[i])
	}
	return s, nil
}

func (s *source) close() { C.turbo_close(s.c) }

// picture is made of planes in C's memory. free it.
type picture struct{ c *C.turbo_picture }

func (p picture) free() { C.turbo_picture_free(p.c) }

// newPicture makes room for w×h pixels, not set to anything.
func newPicture(components, w, h int, s sampling) (picture, error) {
	p := C.turbo_picture_make(C.int(components), C.int(w), C.int(h), C.int(s.sx), C.int(s.sy))
	if p == nil {
		return picture{}, fault.New(fault.Unavailable, "there is not enough memory now")
	}
	return picture{p}, nil
}

// emptyPicture is to be given its planes by decode.
func emptyPicture(components int) (picture, error) {
	p := C.turbo_picture_empty(C.int(components))
	if p == nil {
		return picture{}, fault.New(fault.Unavailable, "there is not enough memory now")
	}
	return picture{p}, nil
}

// result is one picture to be made from a source with these grids.
type result struct {
	picture
	geometry
}

// sink puts the geometry of a result into samples.
func (r result) sink(grids []grid) C.turbo_sink {
	s := C.turbo_sink{out: r.c}
	sx, sy := int(r.c.sx), int(r.c.sy)
	if r.turned {
		s.turned = 1
	}
	for c, g := range grids {
		everyX, everyY := 1, 1
		if c > 0 {
			everyX, everyY = sx, sy
		}
		x, y := r.x, r.y
		if r.turned {
			x, y, everyX, everyY = y, x, everyY, everyX
		}
		s.x[c], s.y[c] = axis(x, everyX, g.dx, g.w), axis(y, everyY, g.dy, g.h)
	}
	return s
}

func axis(l line, every int, step float64, size int) C.turbo_axis {
	n, lo, hi, offset, scale := l.samples(every, step, size)
	return C.turbo_axis{n: C.int(n), lo: C.int(lo), hi: C.int(hi), offset: C.double(offset), scale: C.double(scale)}
}

// decode decodes everything once and makes all results on the way. With keep
// it makes none but gives the decoded planes as they are.
func (s *source) decode(c call, shrink int, blocks []int, results []result, keep *picture) error {
	var status C.turbo_status
	var dct [3]C.int
	grids := make([]grid, s.components)
	for i, b := range blocks {
		dct[i], grids[i] = C.int(b), s.grid(i, b)
	}
	sinks := make([]C.turbo_sink, len(results)+1)
	for i, r := range results {
		sinks[i] = r.sink(grids)
	}
	var kept *C.turbo_picture
	if keep != nil {
		kept = keep.c
	}
	code := C.turbo_decode(s.c, C.int(shrink), &dct[0], &sinks[0], C.int(len(results)), kept, c.flag(), &status)
	runtime.KeepAlive(s.file)
	if code != C.TURBO_OK {
		return c.failed(&status)
	}
	return nil
}

// resample makes one result from a picture with these grids.
func (r result) resample(c call, from picture, grids []grid) error {
	var status C.turbo_status
	sink := r.sink(grids)
	if C.turbo_resample(from.c, &sink, c.flag(), &status) != C.TURBO_OK {
		return c.failed(&status)
	}
	return nil
}

// finish paints what lies outside of the frame.
func (r result) finish() {
	f := r.frame
	if f == nil {
		return
	}
	color := planar(f.color)
	C.turbo_pad(r.c, C.int(f.x), C.int(f.y), C.int(f.w), C.int(f.h), (*C.uchar)(&color[0]))
}

// encoded is a finished file in C's memory. free it.
type encoded struct{ c C.turbo_output }

func (e *encoded) free() {
	if e != nil {
		C.turbo_free(unsafe.Pointer(e.c.data))
	}
}

func (e *encoded) size() int64 { return int64(e.c.size) }

// bytes is valid until free.
func (e *encoded) bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(e.c.data)), int(e.c.size))
}

// jpeg encodes; quality is 1 to 100.
func (p picture) jpeg(c call, quality int, optimize, progressive bool) (*encoded, error) {
	return p.jpegWithRestarts(c, quality, optimize, progressive, 0)
}

// jpegWithRestarts puts a restart marker after every so many MCUs.
func (p picture) jpegWithRestarts(c call, quality int, optimize, progressive bool, every int) (*encoded, error) {
	var status C.turbo_status
	out := new(encoded)
	if C.turbo_encode_jpeg(p.c, C.int(quality), truth(optimize), truth(progressive), C.int(every), &out.c, c.flag(), &status) != C.TURBO_OK {
		return nil, c.failed(&status)
	}
	return out, nil
}

// webp encodes; quality is 1 to 100, method libwebp's 0 to 6.
func (p picture) webp(c call, quality, method int) (*encoded, error) {
	var status C.turbo_status
	out := new(encoded)
	if C.turbo_encode_webp(p.c, C.int(quality), C.int(method), &out.c, c.flag(), &status) != C.TURBO_OK {
		return nil, c.failed(&status)
	}
	return out, nil
}

func truth(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

// live is the number of pieces of memory that are in use, for tests.
func live() int { return int(C.turbo_live()) }

// failAfter lets all allocations fail after so many, for tests; negative: never.
func failAfter(n int) { C.turbo_fail_after(C.long(n)) }

// wide chooses between the passes, for tests; it reports whether the fast ones
// are used.
func wide(on bool) bool { return C.turbo_lanes(truth(on)) != 0 }

// samples are the rows of a component, stride bytes apart, for tests.
func (p picture) samples(component int) (data []byte, stride int) {
	c := &p.c.plane[component]
	return unsafe.Slice((*byte)(unsafe.Pointer(c.data)), int(c.stride)*int(c.held)), int(c.stride)
}

// ownScan chooses whether regular scans are decoded by scan.c, for tests.
func ownScan(on bool) { C.turbo_own_scan(truth(on)) }

// feed takes the rows of an original that somebody else decodes. close it.
type feed struct{ c *C.turbo_feed }

// openFeed makes room for an original of w×h pixels with these grids, of whose
// chroma a sample covers every pixels in either direction, and for results that are
// made on the way.
func openFeed(c call, w, h, every int, grids []grid, results []result) (feed, error) {
	var status C.turbo_status
	var f feed
	sinks := make([]C.turbo_sink, len(results)+1)
	for i, r := range results {
		sinks[i] = r.sink(grids)
	}
	if C.turbo_feed_open(&f.c, C.int(w), C.int(h), C.int(every), &sinks[0], C.int(len(results)), &status) != C.TURBO_OK {
		return f, c.failed(&status)
	}
	return f, nil
}

func (f feed) close() { C.turbo_feed_close(f.c) }

// feedRows is how many rows are taken at a time.
const feedRows = C.TURBO_FEED_ROWS

// rows takes the next n rows of RGB, stride bytes apart.
func (f feed) rows(c call, rgb unsafe.Pointer, stride, n int) error {
	var status C.turbo_status
	if C.turbo_feed_rows(f.c, (*C.uchar)(rgb), C.size_t(stride), C.int(n), c.flag(), &status) != C.TURBO_OK {
		return c.failed(&status)
	}
	return nil
}

// end finishes the results. With keep it gives the planes instead.
func (f feed) end(c call, keep *picture) error {
	var status C.turbo_status
	var kept *C.turbo_picture
	if keep != nil {
		kept = keep.c
	}
	if C.turbo_feed_end(f.c, kept, &status) != C.TURBO_OK {
		return c.failed(&status)
	}
	return nil
}
