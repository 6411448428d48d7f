//go:build vips

package turbo

import (
	"errors"
	"fmt"

	"imagemill/pkg/pipeline"
)

// NotFast is the error of a job with which nothing is wrong but that cannot be
// done here. No file was written; the caller takes another way.
type NotFast struct {
	// Why says in words what does not go.
	Why string
}

// Error gives the reason.
func (e *NotFast) Error() string { return "not for the fast path: " + e.Why }

// IsNotFast reports whether err is a *NotFast.
func IsNotFast(err error) bool {
	_, ok := errors.AsType[*NotFast](err)
	return ok
}

func notFast(format string, args ...any) error { return &NotFast{Why: fmt.Sprintf(format, args...)} }

// maxWebP is the longest side of a WebP.
const maxWebP = 16383

// checkResult refuses what cannot be written from planes.
func checkResult(r pipeline.Rendition, w, h int) error {
	switch r.Format {
	case pipeline.JPEG, pipeline.Same, pipeline.Auto:
	case pipeline.WebP:
		if max(w, h) > maxWebP {
			return notFast("a WebP's side has at most %d pixels", maxWebP)
		}
		if r.Lossless {
			return notFast("lossless WebP is made of RGB")
		}
	default:
		return notFast("the result is %s", r.Format)
	}
	switch {
	case r.TargetSSIM != 0:
		return notFast("the quality depends on the picture")
	case r.Metadata != pipeline.Strip:
		return notFast("metadata is kept")
	case r.Profile != pipeline.SRGB:
		return notFast("the result has a colour profile")
	case r.Frame != 0:
		return notFast("the original has one frame")
	}
	return nil
}

// format resolves what is written.
func format(r pipeline.Rendition) pipeline.Format {
	if r.Format == pipeline.WebP {
		return pipeline.WebP
	}
	return pipeline.JPEG
}
