//go:build vips

package vips

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// iccField is where libvips keeps a picture's colour profile.
const iccField = "icc-profile-data"

// The colour spaces that are told apart by the name of the profile.
const (
	profileOther = "other"
	profileSRGB  = "srgb"
	profileP3    = "p3"
	profileAdobe = "adobe-rgb"
)

// profileOf names the colour space of an ICC profile by its description.
func profileOf(icc []byte) string {
	name := strings.ToLower(description(icc))
	switch {
	case len(icc) < 20 || string(icc[16:20]) != "RGB ":
		return profileOther
	case strings.Contains(name, "srgb"):
		return profileSRGB
	case strings.Contains(name, "display p3"):
		return profileP3
	case strings.Contains(name, "adobe rgb"):
		return profileAdobe
	}
	return profileOther
}

// description reads the tag "desc" of a profile, in either of its two forms.
func description(icc []byte) string {
	if len(icc) < 132 {
		return ""
	}
	tags := min(int(binary.BigEndian.Uint32(icc[128:])), 100)
	for i := range tags {
		at := 132 + 12*i
		if at+12 > len(icc) {
			return ""
		}
		if string(icc[at:at+4]) != "desc" {
			continue
		}
		from, size := int64(binary.BigEndian.Uint32(icc[at+4:])), int64(binary.BigEndian.Uint32(icc[at+8:]))
		if from+size > int64(len(icc)) || size < 16 {
			return ""
		}
		return describe(icc[from : from+size])
	}
	return ""
}

func describe(tag []byte) string {
	switch string(tag[:4]) {
	case "desc":
		n := min(int64(binary.BigEndian.Uint32(tag[8:])), int64(len(tag)-12))
		return string(bytes.TrimRight(tag[12:12+n], "\x00"))
	case "mluc":
		if len(tag) < 28 {
			return ""
		}
		size, at := int64(binary.BigEndian.Uint32(tag[20:])), int64(binary.BigEndian.Uint32(tag[24:]))
		if at+size > int64(len(tag)) {
			return ""
		}
		var units []uint16
		for b := tag[at : at+size]; len(b) >= 2; b = b[2:] {
			units = append(units, binary.BigEndian.Uint16(b))
		}
		return string(utf16.Decode(units))
	}
	return ""
}
