package pipeline

import (
	"fmt"
	"slices"
)

// The ranges of a rendition's fields.
const (
	maxQuality       = 100
	minSSIM, maxSSIM = 0.8, 0.999
	maxEffort        = 9
	minColors        = 2
	maxColors        = 256
)

// facets are all there are, in the order in which a document lists them.
var facets = []Facet{EXIF, Colors, BlurHash, PHash}

func validateFacets(list []Facet) *Error {
	for i, f := range list {
		path := fmt.Sprintf("describe[%d]", i)
		if err := oneOf(path, f, facets...); err != nil {
			return err
		}
		if slices.Contains(list[:i], f) {
			return wrong(path, "%s is listed twice", f)
		}
	}
	return nil
}

func (r Rendition) validate() *Error {
	if err := r.validateName(); err != nil {
		return err
	}
	if len(r.Operations) > MaxOperations {
		return wrong("operations", "there are %d; at most %d are allowed", len(r.Operations), MaxOperations)
	}
	err := firstOf(
		r.validateSize(),
		oneOf("format", r.Format, Same, Auto, JPEG, PNG, GIF, WebP, AVIF, TIFF, JXL),
		r.Background.validate("background"),
		whole("frame", r.Frame, 0, MaxFrame),
		oneOf("chroma", r.Chroma, "", Chroma420, Chroma444),
		oneOf("metadata", r.Metadata, Strip, Copyright, Keep),
		oneOf("profile", r.Profile, SRGB, P3, KeepProfile),
		r.meaning(),
	)
	if err != nil {
		return err
	}
	for i, op := range r.Operations {
		path := fmt.Sprintf("operations[%d]", i)
		if op == nil {
			return wrong(path, "is missing")
		}
		if err := op.validate(); err != nil {
			return err.below(path)
		}
	}
	return r.validateFocus()
}

// validateSize checks what says how large the file may become.
func (r Rendition) validateSize() *Error {
	switch {
	case r.Quality < 0 || r.Quality > maxQuality:
		return wrong("quality", "is %d; allowed is 1 to %d", r.Quality, maxQuality)
	case r.TargetSSIM != 0 && r.Quality != 0:
		return wrong("quality", "is both a number and a likeness; give the one or the other")
	case r.TargetSSIM != 0:
		if err := inRange("quality.ssim", r.TargetSSIM, minSSIM, maxSSIM); err != nil {
			return err
		}
	}
	switch {
	case r.MaxBytes != 0 && (r.MaxBytes < MinBytes || r.MaxBytes > MaxBytes):
		return wrong("maxBytes", "is %d; allowed is %d to %d", r.MaxBytes, MinBytes, MaxBytes)
	case r.Colors != 0 && (r.Colors < minColors || r.Colors > maxColors):
		return wrong("colors", "is %d; allowed is %d to %d", r.Colors, minColors, maxColors)
	case r.Effort < 0 || r.Effort > maxEffort:
		return wrong("effort", "is %d; allowed is 1 to %d", r.Effort, maxEffort)
	}
	return nil
}

// validateFocus checks that a focal point and gravity focus go together.
func (r Rendition) validateFocus() *Error {
	used := false
	for i, op := range r.Operations {
		resize, _ := op.(Resize)
		crop, _ := op.(Crop)
		if resize.Gravity != Focus && crop.Gravity != Focus {
			continue
		}
		used = true
		if r.FocalPoint == nil {
			return wrong(fmt.Sprintf("operations[%d].gravity", i), "is focus, which needs the rendition's focalPoint (fp in a query)")
		}
	}
	switch {
	case r.FocalPoint == nil:
		return nil
	case !used:
		return wrong("focalPoint", "has no meaning here; it is for gravity focus")
	}
	return firstOf(inRange("focalPoint.x", r.FocalPoint.X, 0, 1), inRange("focalPoint.y", r.FocalPoint.Y, 0, 1))
}
