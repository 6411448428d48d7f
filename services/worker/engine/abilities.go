package engine

import (
	"slices"

	"imagemill/internal/ability"
	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
)

// Abilities is what an engine can do, as data: the plan goes by it, formats are
// chosen by it, and pipelines that ask for more are refused before an upload is
// accepted. Each engine package exports its own.
type Abilities struct {
	// Engine is the engine's name in reports.
	Engine string `json:"engine"`
	// Version is that of the library behind it; "" where there is none.
	Version string `json:"version,omitempty"`
	// In are the formats of originals that it reads, as Picture.Format names them.
	In []string `json:"in"`
	// Out are the formats that it writes, without pipeline.Same.
	Out []pipeline.Format `json:"out"`
	// Shrinks are the formats of originals that it decodes at 1/2, 1/4 and 1/8
	// of their size for less than the whole costs.
	Shrinks []string `json:"shrinks,omitempty"`
	// Floors says that a JPEG decoded smaller, outside of the fast path, lacks what
	// does not fill a whole pixel at the right and bottom.
	Floors bool `json:"floors,omitempty"`
	// Animation says that it keeps animations where the output can.
	Animation bool `json:"animation,omitempty"`
	// Profiles says that it converts colour profiles; without it, only sRGB
	// comes out.
	Profiles bool `json:"profiles,omitempty"`
	// Metadata says that it can carry metadata over.
	Metadata bool `json:"metadata,omitempty"`
	// Progressive, FullChroma and Lossless say that it writes progressive JPEG, chroma
	// 4:4:4 when asked to, and the lossless way of formats that have both.
	Progressive bool `json:"progressive,omitempty"`
	FullChroma  bool `json:"fullChroma,omitempty"`
	Lossless    bool `json:"lossless,omitempty"`
	// Fast says that it has the fast path for JPEG.
	Fast bool `json:"fast,omitempty"`
	// Abreast is how many encoders of one job may work side by side; less than 2 is
	// one after the other.
	Abreast int `json:"abreast,omitempty"`
	// Collected says that its memory is given back by a garbage collector, some
	// time after it is no longer used.
	Collected bool `json:"collected,omitempty"`
}

// Has reports whether the engine writes a format. Same and Auto are always
// had: they stand for one that it writes.
func (a Abilities) Has(f pipeline.Format) bool {
	return f == pipeline.Same || f == pipeline.Auto || slices.Contains(a.Out, f)
}

// Reads reports whether the engine reads originals of a format, as
// Picture.Format names it.
func (a Abilities) Reads(format string) bool { return slices.Contains(a.In, format) }

// Shrink reports whether the engine decodes originals of a format smaller than
// they are.
func (a Abilities) Shrink(format string) bool { return slices.Contains(a.Shrinks, format) }

// Check refuses a valid pipeline that asks for what the engine cannot do. Its
// error is Unsupported, with the path of the field and what is allowed.
func (a Abilities) Check(p pipeline.Pipeline) error {
	return ability.Check(fault.Unsupported, p, sniff.Unknown, a.Set())
}

// Set is what the engine can do as it is announced to other services.
func (a Abilities) Set() ability.Set {
	var s ability.Set
	for _, f := range a.In {
		s |= ability.Reading(sniff.Format(f))
	}
	for _, f := range a.Out {
		s |= ability.Writing(f)
	}
	for _, one := range []struct {
		has bool
		set ability.Set
	}{
		{a.Animation, ability.Animation}, {a.Profiles, ability.Profiles}, {a.Metadata, ability.Metadata},
		{a.Progressive, ability.Progressive}, {a.FullChroma, ability.FullChroma}, {a.Lossless, ability.Lossless},
	} {
		if one.has {
			s |= one.set
		}
	}
	return s
}
