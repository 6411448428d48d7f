package exif

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The tags that point to other directories, and those that tell how to show a
// picture.
const (
	tagOrientation = 0x0112
	tagExif        = 0x8769
	tagGPS         = 0x8825
	tagInterop     = 0xa005
	tagColorSpace  = 0xa001
	tagInteropName = 0x0001
)

// names are the fields that are told, by directory and tag. Names are those of
// the EXIF standard.
var names = map[uint16]map[uint16]string{
	0: {
		0x010e: "ImageDescription", 0x010f: "Make", 0x0110: "Model", tagOrientation: "Orientation",
		0x0131: "Software", 0x0132: "DateTime", 0x013b: "Artist", 0x8298: "Copyright",
	},
	tagExif: {
		0x829a: "ExposureTime", 0x829d: "FNumber", 0x8822: "ExposureProgram", 0x8827: "PhotographicSensitivity",
		0x9000: "ExifVersion", 0x9003: "DateTimeOriginal", 0x9004: "DateTimeDigitized", 0x9010: "OffsetTime",
		0x9011: "OffsetTimeOriginal", 0x9204: "ExposureBiasValue", 0x9206: "SubjectDistance", 0x9207: "MeteringMode",
		0x9208: "LightSource", 0x9209: "Flash", 0x920a: "FocalLength", tagColorSpace: "ColorSpace",
		0xa402: "ExposureMode", 0xa403: "WhiteBalance", 0xa404: "DigitalZoomRatio", 0xa405: "FocalLengthIn35mmFilm",
		0xa406: "SceneCaptureType", 0xa433: "LensMake", 0xa434: "LensModel",
	},
	tagGPS: {
		1: "GPSLatitudeRef", 2: "GPSLatitude", 3: "GPSLongitudeRef", 4: "GPSLongitude",
		5: "GPSAltitudeRef", 6: "GPSAltitude", 0x1d: "GPSDateStamp",
	},
}

// Block is what a block of EXIF says.
type Block struct {
	// Orientation is 1 to 8; 1 when there is none or it makes no sense.
	Orientation int
	// SRGB and AdobeRGB say that the block names that colour space.
	SRGB, AdobeRGB bool
	// Fields are the known fields as text, by their names; positions are in
	// degrees, negative in the south and west. Never nil.
	Fields map[string]string
}

// Parse reads a block as it stands in a JPEG after "Exif\0\0". What is damaged
// is left out.
func Parse(b []byte) Block {
	out := Block{Orientation: 1, Fields: map[string]string{}}
	f, ok := Open(bytes.NewReader(b))
	if !ok {
		return out
	}
	out.Add(f, f.Directory(f.First()))
	return out
}

// Add takes in the first directory of a structure, and those that it points to.
func (b *Block) Add(f *File, first []Entry) {
	if b.Fields == nil {
		b.Fields = map[string]string{}
	}
	b.Orientation = max(b.Orientation, 1)
	for _, e := range first {
		b.field(0, e)
		switch e.Tag {
		case tagOrientation:
			if v, ok := e.Int(); ok && v >= 1 && v <= 8 {
				b.Orientation = int(v)
			}
		case tagExif:
			b.addExif(f, e.Offset())
		case tagGPS:
			b.addGPS(f.Directory(e.Offset()))
		}
	}
}

func (b *Block) addExif(f *File, at int64) {
	for _, e := range f.Directory(at) {
		b.field(tagExif, e)
		switch e.Tag {
		case tagColorSpace:
			v, _ := e.Int()
			b.SRGB, b.AdobeRGB = v == 1, b.AdobeRGB || v == 2
		case tagInterop:
			for _, name := range f.Directory(e.Offset()) {
				b.AdobeRGB = b.AdobeRGB || name.Tag == tagInteropName && name.Text() == "R03"
			}
		}
	}
}

// addGPS turns positions into signed degrees and a signed height.
func (b *Block) addGPS(entries []Entry) {
	for _, e := range entries {
		b.field(tagGPS, e)
	}
	for _, name := range []string{"GPSLatitude", "GPSLongitude", "GPSAltitude"} {
		ref := b.Fields[name+"Ref"]
		delete(b.Fields, name+"Ref")
		if v := b.Fields[name]; v != "" && (ref == "S" || ref == "W" || ref == "1") {
			b.Fields[name] = "-" + v
		}
	}
}

// field records one field, if it is known and says something.
func (b *Block) field(directory uint16, e Entry) {
	name := names[directory][e.Tag]
	if name == "" {
		return
	}
	if v := text(name, e); v != "" {
		b.Fields[name] = v
	}
}

// text writes a value for people.
func text(name string, e Entry) string {
	if t := e.Text(); t != "" {
		return t
	}
	numbers := e.Numbers()
	switch {
	case len(numbers) == 0:
		return ""
	case (name == "GPSLatitude" || name == "GPSLongitude") && len(numbers) == 3:
		degrees := numbers[0] + numbers[1]/60 + numbers[2]/3600
		return strconv.FormatFloat(math.Round(degrees*1e6)/1e6, 'f', -1, 64)
	case name == "ExposureTime" && numbers[0] > 0 && numbers[0] < 0.3:
		return fmt.Sprintf("1/%d", int64(math.Round(1/numbers[0])))
	}
	parts := make([]string, min(len(numbers), 8))
	for i := range parts {
		parts[i] = strconv.FormatFloat(math.Round(numbers[i]*1e4)/1e4, 'f', -1, 64)
	}
	return strings.Join(parts, " ")
}
