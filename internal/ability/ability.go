// Package ability says what a picture and its pipeline ask of an engine, and what
// an engine can do, as sets that are compared at once and fit into one number.
//
// Workers announce what their engines can do, frontends refuse what none of them
// can, and a claim for work leaves to other workers what only those can do. The
// number travels between services of different versions: a bit keeps its meaning
// for ever, new ones are added behind, and a service that does not know a bit passes
// it on.
package ability

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
)

// Tag is the name of the tag under which workers announce what they can.
const Tag = "can"

// Set is a set of abilities, of which one bit each stands for a format that is read,
// a format that is written, or another ability. It stays below 2^53, so that it is a
// whole number in any JSON.
type Set uint64

// Where the bits of each sort begin.
const (
	firstRead  = 0
	firstWrite = 24
	firstOther = 40
)

// reads and writes are the formats by their bits, in an order that only grows.
var (
	reads = []sniff.Format{
		sniff.JPEG, sniff.PNG, sniff.GIF, sniff.TIFF, sniff.BMP, sniff.WebP, sniff.AVIF, sniff.HEIC, sniff.JXL, sniff.SVG, sniff.PDF,
	}
	writes = []pipeline.Format{
		pipeline.JPEG, pipeline.PNG, pipeline.GIF, pipeline.TIFF, pipeline.WebP, pipeline.AVIF, pipeline.JXL,
	}
)

// The other abilities.
const (
	// Animation keeps animations where the output can.
	Animation Set = 1 << (firstOther + iota)
	// Profiles writes other colour profiles than sRGB.
	Profiles
	// Metadata carries metadata over.
	Metadata
	// Progressive writes progressive JPEG.
	Progressive
	// FullChroma writes chroma 4:4:4 when asked to.
	FullChroma
	// Lossless writes the lossless way of formats that have both.
	Lossless
)

// Reading is the set of one format that is read; empty for one that has no bit.
func Reading(f sniff.Format) Set {
	if i := slices.Index(reads, f); i >= 0 {
		return 1 << (firstRead + i)
	}
	return 0
}

// Writing is the set of one format that is written; empty for Same, Auto and one
// that has no bit: those stand for what can be written.
func Writing(f pipeline.Format) Set {
	if i := slices.Index(writes, f); i >= 0 {
		return 1 << (firstWrite + i)
	}
	return 0
}

// Covers reports whether all of needs is in the set.
func (s Set) Covers(needs Set) bool { return needs&^s == 0 }

// Reads lists the formats that are read.
func (s Set) Reads() (list []sniff.Format) {
	for _, f := range reads {
		if s&Reading(f) != 0 {
			list = append(list, f)
		}
	}
	return list
}

// String is the set as it is announced.
func (s Set) String() string { return strconv.FormatUint(uint64(s), 16) }

// Parse reads what String wrote.
func Parse(text string) (Set, error) {
	v, err := strconv.ParseUint(text, 16, 53)
	if err != nil {
		return 0, fmt.Errorf("abilities %.20q: %w", text, err)
	}
	return Set(v), nil
}

// need is one field of a rendition that asks for something.
type need struct {
	set   Set
	field string
	why   func(can Set) string
}

// needsOf lists what a rendition asks for.
func needsOf(r pipeline.Rendition) []need {
	say := func(text string) func(Set) string { return func(Set) string { return text } }
	var list []need
	add := func(asked bool, n need) {
		if asked && n.set != 0 {
			list = append(list, n)
		}
	}
	add(true, need{Writing(r.Format), "format", func(can Set) string {
		return fmt.Sprintf("%s cannot be written here; %s can", sniff.Format(r.Format).Name(), can.writes())
	}})
	add(r.Animated, need{Animation, "animated", say("animations cannot be kept here; leave it out for a still picture")})
	add(r.Profile != pipeline.SRGB, need{Profiles, "profile", say("colour profiles cannot be written here; leave it out for srgb")})
	add(r.Metadata != pipeline.Strip, need{Metadata, "metadata", say("metadata cannot be kept here; leave it out to strip it")})
	add(r.Progressive, need{Progressive, "progressive", say("progressive JPEG cannot be written here; leave it out for baseline")})
	add(r.Chroma == pipeline.Chroma444, need{FullChroma, "chroma", say("chroma 444 cannot be written here; 420 can")})
	add(r.Lossless, need{Lossless, "lossless", say("the formats that have a lossless way cannot be written here; png and tiff are lossless")})
	return list
}

// writes lists the formats that are written, for messages.
func (s Set) writes() string {
	var names []string
	for _, f := range writes {
		if s&Writing(f) != 0 {
			names = append(names, sniff.Format(f).Name())
		}
	}
	return strings.Join(names, ", ")
}

// Needs is what a valid pipeline asks of the engine that carries it out on an
// original of a format, Unknown for any.
func Needs(p pipeline.Pipeline, original sniff.Format) Set {
	needs := Reading(original)
	for _, r := range p.Renditions {
		for _, n := range needsOf(r) {
			needs |= n.set
		}
	}
	return needs
}

// Check refuses a valid pipeline that none of several engines can carry out on an
// original of a format, Unknown for any. Its error is of kind, and names the first
// field that none of them has, and what they have. No engine at all refuses nothing.
func Check(kind fault.Kind, p pipeline.Pipeline, original sniff.Format, engines ...Set) error {
	needs := Needs(p, original)
	if len(engines) == 0 || slices.ContainsFunc(engines, func(can Set) bool { return can.Covers(needs) }) {
		return nil
	}
	var all Set
	for _, can := range engines {
		if can.Covers(Reading(original)) {
			all |= can
		}
	}
	for i, r := range p.Renditions {
		for _, n := range needsOf(r) {
			if !all.Covers(n.set) {
				return fault.New(kind, n.why(all)).WithField(fmt.Sprintf("renditions[%d].%s", i, n.field))
			}
		}
	}
	return fault.New(kind, "no engine here can do all of this together, only parts of it; make fewer renditions of one image").WithField("renditions")
}
