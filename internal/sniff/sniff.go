// Package sniff tells what a file is from its first bytes, never from its name
// or a Content-Type header, and reads width and height out of a header.
//
// It promises to look at no more than it is given, to allocate nothing that
// depends on the file's contents, and never to panic: every original is
// hostile. It decodes no pixels. The header of a TIFF, AVIF, HEIC or JPEG XL may
// lie anywhere in the file; it is read where it stands at the beginning. The size
// of a PDF's pages is not looked for.
package sniff

import (
	"bytes"
	"encoding/binary"
)

// PrefixBytes is how much of a file callers should offer: enough for the
// header of nearly every JPEG, whose dimensions follow its EXIF block.
const PrefixBytes = 64 << 10

// Format is a file format by its lower-case name.
type Format string

// The formats that are recognised. Unknown is everything else.
const (
	Unknown Format = ""
	JPEG    Format = "jpeg"
	PNG     Format = "png"
	GIF     Format = "gif"
	TIFF    Format = "tiff"
	BMP     Format = "bmp"
	WebP    Format = "webp"
	AVIF    Format = "avif"
	HEIC    Format = "heic"
	JXL     Format = "jxl"
	JP2     Format = "jp2"
	ICO     Format = "ico"
	PSD     Format = "psd"
	SVG     Format = "svg"
	PDF     Format = "pdf"
)

// formats is what is known of each format. Readable ones can be decoded by the
// default build.
var formats = []struct {
	format                Format
	name, mime, extension string
	readable              bool
}{
	{JPEG, "JPEG", "image/jpeg", ".jpg", true},
	{PNG, "PNG", "image/png", ".png", true},
	{GIF, "GIF", "image/gif", ".gif", true},
	{TIFF, "TIFF", "image/tiff", ".tif", true},
	{BMP, "BMP", "image/bmp", ".bmp", true},
	{WebP, "WebP", "image/webp", ".webp", true},
	{AVIF, "AVIF", "image/avif", ".avif", false},
	{HEIC, "HEIC", "image/heic", ".heic", false},
	{JXL, "JPEG XL", "image/jxl", ".jxl", false},
	{JP2, "JPEG 2000", "image/jp2", ".jp2", false},
	{ICO, "icon", "image/vnd.microsoft.icon", ".ico", false},
	{PSD, "Photoshop", "image/vnd.adobe.photoshop", ".psd", false},
	{SVG, "SVG", "image/svg+xml", ".svg", false},
	{PDF, "PDF", "application/pdf", ".pdf", false},
}

// Formats lists all that are recognised.
func Formats() []Format {
	list := make([]Format, len(formats))
	for i, row := range formats {
		list[i] = row.format
	}
	return list
}

// MIME is the media type; application/octet-stream for Unknown.
func (f Format) MIME() string {
	for _, row := range formats {
		if row.format == f {
			return row.mime
		}
	}
	return "application/octet-stream"
}

// ByMIME is the format of a media type as MIME gives it; Unknown for any other.
func ByMIME(mime string) Format {
	for _, row := range formats {
		if row.mime == mime {
			return row.format
		}
	}
	return Unknown
}

// Extension is the usual file name extension with its dot; ".bin" for Unknown.
func (f Format) Extension() string {
	for _, row := range formats {
		if row.format == f {
			return row.extension
		}
	}
	return ".bin"
}

// Name is how people write the format: "JPEG", "WebP", "unknown".
func (f Format) Name() string {
	for _, row := range formats {
		if row.format == f {
			return row.name
		}
	}
	return "unknown"
}

// Readable reports whether the default build can decode the format.
func (f Format) Readable() bool {
	for _, row := range formats {
		if row.format == f {
			return row.readable
		}
	}
	return false
}

// magics are the bytes that files begin with. Longer, surer ones stand first.
var magics = []struct {
	magic  string
	format Format
}{
	{"\x89PNG\r\n\x1a\n", PNG},
	{"\x00\x00\x00\x0cJXL \r\n\x87\n", JXL},
	{"\x00\x00\x00\x0cjP  \r\n\x87\n", JP2},
	{"GIF87a", GIF},
	{"GIF89a", GIF},
	{"%PDF-", PDF},
	{"8BPS\x00\x01", PSD},
	{"II*\x00", TIFF},
	{"MM\x00*", TIFF},
	{"II+\x00", TIFF},
	{"MM\x00+", TIFF},
	{"\x00\x00\x01\x00", ICO},
	{"\xff\xd8\xff", JPEG},
	{"\xff\x0a", JXL},
}

// Sniff names the format of a file that begins with prefix. 512 bytes are
// enough, but 4 KiB for an SVG, whose first element may stand behind comments;
// with fewer than 16 it may say Unknown for a picture.
func Sniff(prefix []byte) Format {
	for _, m := range magics {
		if bytes.HasPrefix(prefix, []byte(m.magic)) {
			return m.format
		}
	}
	switch {
	case len(prefix) >= 12 && string(prefix[:4]) == "RIFF" && string(prefix[8:12]) == "WEBP":
		return WebP
	case len(prefix) >= 12 && string(prefix[4:8]) == "ftyp":
		return brand(prefix)
	case isBMP(prefix):
		return BMP
	case isSVG(prefix):
		return SVG
	}
	return Unknown
}

// brand reads the brands of an ISO media file: the major one and those that it
// is compatible with.
func brand(b []byte) Format {
	size := min(int64(binary.BigEndian.Uint32(b)), int64(len(b)), 512)
	for i := int64(8); i+4 <= size; i += 4 {
		switch string(b[i : i+4]) {
		case "avif", "avis":
			return AVIF
		case "heic", "heix", "heim", "heis", "hevc", "hevx":
			return HEIC
		}
	}
	return Unknown
}

// isBMP looks beyond "BM", with which texts begin too, at the size of the
// second header.
func isBMP(b []byte) bool {
	if len(b) < 18 || string(b[:2]) != "BM" {
		return false
	}
	switch binary.LittleEndian.Uint32(b[14:]) {
	case 12, 16, 40, 52, 56, 64, 108, 124:
		return true
	}
	return false
}
