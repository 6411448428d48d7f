//go:build vips

package vips

import (
	"strings"

	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// readOrder is the order in which formats are named to users.
var readOrder = []sniff.Format{
	sniff.JPEG, sniff.PNG, sniff.GIF, sniff.WebP, sniff.AVIF, sniff.HEIC, sniff.TIFF, sniff.BMP,
}

// readable reports whether originals of a format are decoded here. What the
// loaded libvips calls untrusted is not.
func readable(f sniff.Format) bool {
	if f == sniff.BMP {
		return true
	}
	loader, ok := loaders[f]
	return ok && known(loader.operation) && (f != sniff.AVIF || warm().reads)
}

// readableNames lists what is readable, for messages.
func readableNames() string {
	var names []string
	for _, f := range readOrder {
		if readable(f) {
			names = append(names, f.Name())
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// Abilities is what the loaded libvips can do here. It starts libvips, and
// fails as New does.
func Abilities() (engine.Abilities, error) {
	if err := start(); err != nil {
		return engine.Abilities{}, err
	}
	can := engine.Abilities{
		Engine: Name, Shrinks: []string{string(sniff.JPEG), string(sniff.WebP)},
		Animation: true, Profiles: true, Metadata: true,
	}
	for _, f := range readOrder {
		if readable(f) {
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
