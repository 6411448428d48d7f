//go:build vips

package turbo

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// write encodes a picture as r asks and writes it into a file of dir.
func write(c call, p picture, dir string, r pipeline.Rendition) (engine.Rendition, error) {
	f := format(r)
	out := engine.Rendition{
		Name: r.Name, Width: int(p.c.width), Height: int(p.c.height),
		Format: f, ContentType: sniff.Format(f).MIME(),
		File: filepath.Join(dir, r.Name+sniff.Format(f).Extension()),
	}
	data, err := fit(c, p, r)
	if err != nil {
		return out, err
	}
	defer data.free()
	file, err := engine.CreateScratch(out.File)
	if err != nil {
		return out, unwritable(err)
	}
	_, err = file.Write(data.bytes())
	if err := errors.Join(err, file.Close()); err != nil {
		return out, unwritable(err)
	}
	out.Bytes = file.Size()
	return out, nil
}

// fit encodes at the quality that is asked for, or at the best one below it
// whose file is not larger than r.MaxBytes.
func fit(c call, p picture, r pipeline.Rendition) (*encoded, error) {
	quality := r.Quality
	if quality == 0 {
		quality = pipeline.DefaultQuality
	}
	best, err := encode(c, p, r, quality)
	if err != nil || r.MaxBytes == 0 || best.size() <= r.MaxBytes {
		return best, err
	}
	smallest := best.size()
	best.free()
	best = nil
	for low, high := 1, quality-1; low <= high; {
		middle := (low + high) / 2
		e, err := encode(c, p, r, middle)
		switch {
		case err != nil:
			best.free()
			return nil, err
		case e.size() > r.MaxBytes:
			smallest = min(smallest, e.size())
			high = middle - 1
			e.free()
		default:
			best.free()
			best, low = e, middle+1
		}
	}
	if best == nil {
		return nil, fault.Newf(fault.Unprocessable, "rendition %s cannot be made as small as maxBytes=%d: at quality 1 it has %d bytes",
			r.Name, r.MaxBytes, smallest)
	}
	return best, nil
}

// defaultMethod is taken when no effort is asked for: of a size and likeness
// within 3 % of what libvips writes at its default, for half the time of method
// 4 (BenchmarkEffort, docs/benchmarks.md).
const defaultMethod = 2

// encode encodes once.
func encode(c call, p picture, r pipeline.Rendition, quality int) (*encoded, error) {
	if format(r) == pipeline.WebP {
		return p.webp(c, quality, webpMethod(r.Effort))
	}
	return p.jpeg(c, quality, r.Effort >= smallerJPEG, r.Progressive)
}

// smallerJPEG is the effort from which a JPEG's Huffman tables are made for it:
// some percent smaller for a third more time.
const smallerJPEG = 5

// webpMethod spreads the efforts 1 to 9 over libwebp's methods 0 to 6.
func webpMethod(effort int) int {
	if effort == 0 {
		return defaultMethod
	}
	return (effort - 1) * 6 / 8
}

// unwritable is the failure to write a result; nothing is wrong with the picture.
func unwritable(err error) error {
	err = fmt.Errorf("write rendition: %w", err)
	if errors.Is(err, syscall.ENOSPC) {
		return fault.Wrap(fault.StorageFull, "the scratch disk is full", err)
	}
	return fault.Wrap(fault.Unavailable, "the result cannot be written now", err)
}
