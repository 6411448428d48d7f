package imaging

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine/ssim"
)

// searched writes a JPEG at the quality that the rendition asks for: the one it
// names, or the smallest that is like enough; and then lowered until it fits.
func (e *Engine) searched(ctx context.Context, m image.Image, r pipeline.Rendition) (result, error) {
	b := result{body: e.buffers.buffer()}
	quality := r.Quality
	if quality == 0 {
		quality = pipeline.DefaultQuality
	}
	if r.TargetSSIM > 0 {
		like, err := smallest(ctx, 1, 100, func(q int) (bool, error) { return alike(b.body, m, q, r.TargetSSIM) })
		if err != nil {
			return b, err
		}
		quality = like
	}
	if err := jpegAt(b.body, m, quality); err != nil || r.MaxBytes == 0 || int64(b.body.Len()) <= r.MaxBytes {
		return b, err
	}
	// The first quality that is too large is one above the one that is wanted.
	tooLarge, err := smallest(ctx, 1, quality, func(q int) (bool, error) {
		err := jpegAt(b.body, m, q)
		return int64(b.body.Len()) > r.MaxBytes, err
	})
	if err != nil {
		return b, err
	}
	if err := jpegAt(b.body, m, max(tooLarge-1, 1)); err != nil {
		return b, err
	}
	if int64(b.body.Len()) > r.MaxBytes {
		return b, fault.Newf(fault.Unprocessable, "the result has %d bytes even at quality 1; maxBytes is %d: make the picture smaller",
			b.body.Len(), r.MaxBytes).WithField("maxBytes")
	}
	return b, nil
}

// smallest finds by halving the smallest number of lo to hi that is good, given
// that all above a good one are; hi when none below is.
func smallest(ctx context.Context, lo, hi int, good func(int) (bool, error)) (int, error) {
	for lo < hi {
		if err := expired(ctx); err != nil {
			return 0, err
		}
		middle := (lo + hi) / 2
		ok, err := good(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			hi = middle
		} else {
			lo = middle + 1
		}
	}
	return lo, nil
}

// alike reports whether a JPEG of a quality looks as much like the picture as is
// wanted.
func alike(b *bytes.Buffer, m image.Image, quality int, want float64) (bool, error) {
	if err := jpegAt(b, m, quality); err != nil {
		return false, err
	}
	back, err := jpeg.Decode(bytes.NewReader(b.Bytes()))
	if err != nil {
		return false, fmt.Errorf("read back jpeg: %w", err)
	}
	got, err := ssim.Images(m, back)
	return got >= want, err
}
