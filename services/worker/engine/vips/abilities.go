//go:build vips

package vips

import (
	"runtime"
	"slices"
	"strings"

	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// readOrder is the order in which formats are named to users.
var readOrder = []sniff.Format{
	sniff.JPEG, sniff.PNG, sniff.GIF, sniff.WebP, sniff.AVIF, sniff.HEIC, sniff.TIFF, sniff.BMP, sniff.JXL, sniff.SVG, sniff.PDF,
}

// readable reports whether originals of a format are decoded here. What the
// loaded libvips calls untrusted is only where it is among those switched on.
func readable(f sniff.Format, on []sniff.Format) bool {
	if f == sniff.BMP {
		return true
	}
	loader, ok := loaders[f]
	if !ok || loader.class != "" && !slices.Contains(on, f) {
		return false
	}
	return known(loader.operation) && (f != sniff.AVIF || warm().reads)
}

// readableNames lists what is readable, for messages.
func readableNames(can engine.Abilities) string {
	names := make([]string, len(can.In))
	for i, f := range can.In {
		names[i] = sniff.Format(f).Name()
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// Switched lists the formats that are read only where they are switched on: their
// decoders are large, and libvips calls them untrusted.
func Switched() []sniff.Format { return []sniff.Format{sniff.SVG, sniff.PDF, sniff.JXL} }

// Abilities is what the loaded libvips can do here, with those formats switched on
// that are named. It starts libvips, and fails as New does.
func Abilities(on ...sniff.Format) (engine.Abilities, error) {
	if err := start(); err != nil {
		return engine.Abilities{}, err
	}
	if err := allow(on); err != nil {
		return engine.Abilities{}, err
	}
	can := engine.Abilities{
		Engine: Name, Shrinks: []string{string(sniff.JPEG), string(sniff.WebP)},
		Floors: true, Animation: true, Profiles: true, Metadata: true, Progressive: true, FullChroma: true, Lossless: true,
		Abreast: runtime.NumCPU(), // process.Pool gives a job no more
	}
	for _, f := range readOrder {
		if readable(f, on) {
			can.In = append(can.In, string(f))
		}
	}
	for _, f := range []pipeline.Format{pipeline.JPEG, pipeline.PNG, pipeline.GIF, pipeline.WebP, pipeline.AVIF, pipeline.TIFF, pipeline.JXL} {
		if known(savers[f].operation) && (f != pipeline.AVIF || warm().writes) {
			can.Out = append(can.Out, f)
		}
	}
	return can, nil
}
