//go:build vips

package vips

/*
#include "wrap.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"path/filepath"
	"unsafe"

	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// Formats of results that this engine adds.
const (
	formatWebP pipeline.Format = "webp"
	formatAVIF pipeline.Format = "avif"
	formatTIFF pipeline.Format = "tiff"
	formatJXL  pipeline.Format = "jxl"
)

// saver is how a format is written.
type saver struct {
	code      C.int
	operation string
	alpha     bool // it has transparency
	quality   int  // when none is asked for
	// efforts are the format's own numbers for an effort of 1 and of 9, and the
	// one that is used when none is asked for.
	least, most, usual int
}

// savers holds every format that can be a result. Their usual efforts are
// those at which a second more of work saves little.
var savers = map[pipeline.Format]saver{
	pipeline.JPEG: {C.IM_JPEG, "jpegsave_buffer", false, pipeline.DefaultQuality, 1, 9, 1},
	pipeline.PNG:  {C.IM_PNG, "pngsave_buffer", true, 0, 1, 9, 6},
	pipeline.GIF:  {C.IM_GIF, "gifsave_buffer", true, 0, 1, 10, 7},
	formatWebP:    {C.IM_WEBP, "webpsave_buffer", true, pipeline.DefaultQuality, 0, 6, 4},
	formatAVIF:    {C.IM_HEIF, "heifsave_buffer", true, pipeline.DefaultQuality, 0, 9, 4},
	formatTIFF:    {C.IM_TIFF, "tiffsave_buffer", true, 0, 1, 9, 6},
	formatJXL:     {C.IM_JXL, "jxlsave_buffer", true, pipeline.DefaultQuality, 1, 9, 7},
}

// effort maps 1 to 9 onto the format's own scale.
func (s saver) effort(asked int) int {
	if asked == 0 {
		return s.usual
	}
	return s.least + ((asked-1)*(s.most-s.least)+4)/8
}

// target resolves pipeline.Same by what the original was and by whether the
// result has transparency.
func target(want pipeline.Format, original string, m ref) pipeline.Format {
	switch {
	case want != pipeline.Same:
		return want
	case original == string(sniff.JPEG), original == string(sniff.PNG), original == string(sniff.GIF):
		return pipeline.Format(original)
	case opaque(m):
		return pipeline.JPEG
	}
	return pipeline.PNG
}

// write encodes a finished picture into a file of the job's folder.
func (t *task) write(m ref) (engine.Rendition, error) {
	format := target(t.r.Format, t.src.Format, m)
	out := engine.Rendition{
		Name: t.r.Name, Width: width(m), Height: height(m), Path: engine.PathVips,
		Format: format, ContentType: sniff.Format(format).MIME(),
		File: filepath.Join(t.job.Dir, t.r.Name+sniff.Format(format).Extension()),
	}
	how := savers[format]
	var err error
	if !how.alpha && alpha(m) {
		under := t.r.Background
		if under == "" {
			under = "#ffffff"
		}
		if m, err = t.own.flatten(m, under); err != nil {
			return out, fmt.Errorf("flatten rendition %s: %w", t.r.Name, err)
		}
	}
	quality := t.r.Quality
	if quality == 0 {
		quality = how.quality
	}
	body, err := encode(m, C.im_save_options{
		format: how.code, quality: C.int(quality), effort: C.int(how.effort(0)), strip: 1,
	})
	if err != nil {
		return out, fmt.Errorf("encode rendition %s: %w", t.r.Name, err)
	}
	defer body.free()
	out.Bytes = int64(len(body))
	return out, store(out.File, body)
}

// encoded is a finished file in libvips' memory.
type encoded []byte

func (b encoded) free() { C.g_free(C.gpointer(unsafe.SliceData(b))) }

// encode writes a picture in a format.
func encode(m ref, how C.im_save_options) (encoded, error) {
	var buffer unsafe.Pointer
	var size C.size_t
	if C.im_save(m, &how, &buffer, &size) != 0 {
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
