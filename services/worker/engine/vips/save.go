//go:build vips

package vips

/*
#include "wrap.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math/bits"
	"path/filepath"
	"unsafe"

	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// saver is how a format is written.
type saver struct {
	code      C.int
	operation string
	alpha     bool // it has transparency
	lossy     bool // it has a quality
	// least and most are the format's own numbers for an effort of 1 and of 9,
	// usual is the one for an effort that is not given.
	least, most, usual int
}

// savers holds every format that can be a result.
var savers = map[pipeline.Format]saver{
	pipeline.JPEG: {C.IM_JPEG, "jpegsave_buffer", false, true, 1, 9, 1},
	pipeline.PNG:  {C.IM_PNG, "pngsave_buffer", true, false, 1, 9, 6},
	pipeline.GIF:  {C.IM_GIF, "gifsave_buffer", true, false, 1, 10, 7},
	pipeline.WebP: {C.IM_WEBP, "webpsave_buffer", true, true, 0, 6, 2}, // as the fast path does, and why: docs/benchmarks.md
	pipeline.AVIF: {C.IM_HEIF, "heifsave_buffer", true, true, 0, 9, 4},
	pipeline.TIFF: {C.IM_TIFF, "tiffsave_buffer", true, false, 1, 9, 6},
	pipeline.JXL:  {C.IM_JXL, "jxlsave_buffer", true, true, 1, 9, 7},
}

// effort maps 1 to 9 onto the format's own scale.
func (s saver) effort(asked int) int {
	if asked == 0 {
		return s.usual
	}
	return s.least + ((asked-1)*(s.most-s.least)+4)/8
}

// target resolves pipeline.Same and Auto by what the original was and by
// whether the result has transparency.
func target(want pipeline.Format, original string, opaque bool) pipeline.Format {
	_, written := savers[pipeline.Format(original)]
	switch {
	case want != pipeline.Same && want != pipeline.Auto:
		return want
	case want == pipeline.Same && written:
		return pipeline.Format(original)
	case opaque:
		return pipeline.JPEG
	}
	return pipeline.PNG
}

// write encodes a finished picture into a file of the job's folder.
func (t *task) write(m ref, frames int) (engine.Rendition, error) {
	format := target(t.r.Format, t.src.Format, opaque(m))
	if frames > 1 && t.r.Format == pipeline.Auto {
		format = pipeline.GIF
	}
	out := engine.Rendition{
		Name: t.r.Name, Width: width(m), Height: height(m) / frames, Path: engine.PathVips,
		Format: format, ContentType: sniff.Format(format).MIME(),
		File: filepath.Join(t.job.Dir, t.r.Name+sniff.Format(format).Extension()),
	}
	how := savers[format]
	if !how.alpha {
		under := t.r.Background
		if under == "" {
			under = "#ffffff"
		}
		var err error
		if m, err = t.own.flatten(m, under); err != nil {
			return out, fmt.Errorf("flatten rendition %s: %w", t.r.Name, err)
		}
	}
	body, err := t.encoded(m, how, frames)
	if err != nil {
		return out, err
	}
	defer body.free()
	out.Bytes = int64(len(body))
	return out, store(out.File, body)
}

// encoded is the finished file of a picture.
func (t *task) encoded(m ref, how saver, frames int) (encoded, error) {
	o := C.mill_save_options{
		format: how.code, effort: C.int(how.effort(t.r.Effort)), quality: pipeline.DefaultQuality, strip: 1,
		lossless: flag(t.r.Lossless), progressive: flag(t.r.Progressive), full_chroma: flag(t.r.Chroma == pipeline.Chroma444),
		colors: C.int(t.r.Colors), bits: 8, dither: 1,
	}
	if t.r.Quality != 0 {
		o.quality = C.int(t.r.Quality)
	}
	if t.r.Colors != 0 {
		o.bits = C.int(bits.Len(uint(t.r.Colors - 1)))
	}
	if frames > 1 {
		o.page_height = C.int(height(m) / frames)
	}
	if !exactly(t.r.Colors) {
		var err error
		if m, err = t.own.fewColours(m, t.r.Colors); err != nil {
			return nil, fmt.Errorf("count colours of rendition %s: %w", t.r.Name, err)
		}
		o.dither = 0
	}
	m, kept, err := t.labelled(m, frames)
	if err != nil {
		return nil, err
	}
	if kept {
		o.strip = 0
	}
	if how.lossy && !t.r.Lossless && (t.r.TargetSSIM != 0 || t.r.MaxBytes != 0) {
		return t.search(m, o)
	}
	body, err := encode(m, o)
	if err != nil {
		return nil, fmt.Errorf("encode rendition %s: %w", t.r.Name, err)
	}
	return body, nil
}

// encoded is a finished file in libvips' memory.
type encoded []byte

func (b encoded) free() { C.g_free(C.gpointer(unsafe.SliceData(b))) }

// encode writes a picture in a format.
func encode(m ref, how C.mill_save_options) (encoded, error) {
	var buffer unsafe.Pointer
	var size C.size_t
	if C.mill_save(m, &how, &buffer, &size) != 0 {
		return nil, lastError()
	}
	return unsafe.Slice((*byte)(buffer), int(size)), nil
}

// store puts a finished file into the scratch folder.
func store(path string, body encoded) error {
	file, err := engine.CreateScratch(path)
	if err != nil {
		return unwritable(err)
	}
	_, err = file.Write(body)
	if err := errors.Join(err, file.Close()); err != nil {
		return unwritable(err)
	}
	return nil
}
