package sniff_test

import (
	"bytes"
	"encoding/binary"
	"strings"

	"imagemill/internal/sniff"
)

// built are headers made by hand, with the size that they say.
type built struct {
	name   string
	bytes  []byte
	format sniff.Format
	w, h   int
}

func box(kind string, body ...string) string {
	whole := strings.Join(body, "")
	return string(binary.BigEndian.AppendUint32(nil, uint32(8+len(whole)))) + kind + whole
}

// longBox has its size in 64 bits.
func longBox(kind, body string) string {
	return "\x00\x00\x00\x01" + kind + string(binary.BigEndian.AppendUint64(nil, uint64(16+len(body)))) + body
}

func big32(v ...uint32) string {
	var b []byte
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, x)
	}
	return string(b)
}

// heif is a file of a brand whose items have these extents.
func heif(brand string, extents ...uint32) string {
	var properties []string
	for i := 0; i < len(extents); i += 2 {
		properties = append(properties, box("ispe", big32(0, extents[i], extents[i+1])), box("pixi", "\x00\x00\x00\x00\x03\x08\x08\x08"))
	}
	return box("ftyp", brand, big32(0), "mif1") +
		box("meta", big32(0), box("hdlr", strings.Repeat("\x00", 25)), box("iprp", box("ipco", properties...), box("ipma", big32(0, 0))))
}

func webp(kind, data string) string {
	b := "RIFF" + string(binary.LittleEndian.AppendUint32(nil, uint32(12+len(data)))) + "WEBP" + kind
	return b + string(binary.LittleEndian.AppendUint32(nil, uint32(len(data)))) + data + strings.Repeat("\x00", 16)
}

// bits packs numbers from the lowest bit upwards: a number, its width, …
func bits(v ...int) string {
	var b []byte
	at := 0
	for i := 0; i < len(v); i += 2 {
		for j := range v[i+1] {
			if at%8 == 0 {
				b = append(b, 0)
			}
			b[at/8] |= byte(v[i]>>j&1) << (at % 8)
			at++
		}
	}
	return string(b)
}

// tiffFile has a directory at an offset, with width and height of a type.
func tiffFile(order binary.AppendByteOrder, at int, kind uint16, w, h uint32) string {
	b := []byte("II")
	if order.String() == binary.BigEndian.String() {
		b = []byte("MM")
	}
	b = order.AppendUint32(order.AppendUint16(b, 42), uint32(at))
	b = append(b, bytes.Repeat([]byte{0}, at-len(b))...)
	b = order.AppendUint16(b, 3)
	for _, e := range []struct {
		tag  uint16
		kind uint16
		v    uint32
	}{{254, 4, 0}, {256, kind, w}, {257, kind, h}} {
		b = order.AppendUint32(order.AppendUint16(order.AppendUint16(b, e.tag), e.kind), 1)
		if e.kind == 3 {
			b = order.AppendUint16(order.AppendUint16(b, uint16(e.v)), 0)
			continue
		}
		b = order.AppendUint32(b, e.v)
	}
	return string(b)
}

// bigTIFF has its numbers in 64 bits.
func bigTIFF(w, h uint64) string {
	o := binary.LittleEndian
	b := append([]byte("II+\x00\x08\x00\x00\x00"), o.AppendUint64(nil, 16)...)
	b = o.AppendUint64(b, 2)
	for i, v := range []uint64{w, h} {
		b = o.AppendUint64(o.AppendUint64(o.AppendUint16(o.AppendUint16(b, uint16(256+i)), 16), 1), v)
	}
	return string(b)
}

const jxlBox = "\x00\x00\x00\x0cJXL \r\n\x87\n"

// headers are all the forms in which a size is written.
func headers() []built {
	list := []built{
		{"webp lossy", []byte(webp("VP8 ", "\x10\x00\x00\x9d\x01\x2a\x20\x83\x58\x02")), sniff.WebP, 800, 600},
		{"webp lossless", []byte(webp("VP8L", "\x2f"+bits(16383, 14, 599, 14, 1, 1, 0, 3))), sniff.WebP, 16384, 600},
		{"webp extended", []byte(webp("VP8X", "\x10\x00\x00\x00\x1f\x03\x00\xff\xff\xff")), sniff.WebP, 800, 1 << 24},
		{"avif", []byte(heif("avif", 800, 600)), sniff.AVIF, 800, 600},
		{"heic of tiles, with a thumbnail", []byte(heif("heic", 512, 512, 4032, 3024, 240, 180)), sniff.HEIC, 4032, 3024},
		{"avif with long boxes", []byte(box("ftyp", "avif", big32(0)) + longBox("free", "xyz") +
			longBox("meta", big32(0)+longBox("iprp", longBox("ipco", longBox("ispe", big32(0, 7, 9)))))), sniff.AVIF, 7, 9},
		{"avif to the end", []byte(box("ftyp", "avif", big32(0)) + "\x00\x00\x00\x00meta" + big32(0) + "\x00\x00\x00\x00iprp\x00\x00\x00\x00ipco" +
			box("ispe", big32(0, 7, 9))), sniff.AVIF, 7, 9},
		{"heic beyond counting", []byte(heif("heic", 1<<32-1, 1<<32-1)), sniff.HEIC, 1<<32 - 1, 1<<32 - 1},
		{"jxl small", []byte("\xff\x0a" + bits(1, 1, 5, 5, 0, 3, 9, 5, 0, 16)), sniff.JXL, 80, 48},
		{"jxl small by ratio", []byte("\xff\x0a" + bits(1, 1, 8, 5, 3, 3, 0, 32)), sniff.JXL, 96, 72},
		{"jxl", []byte("\xff\x0a" + bits(0, 1, 1, 2, 3023, 13, 0, 3, 1, 2, 4031, 13, 0, 32)), sniff.JXL, 4032, 3024},
		{"jxl by ratio", []byte("\xff\x0a" + bits(0, 1, 0, 2, 299, 9, 7, 3, 0, 32)), sniff.JXL, 600, 300},
		{"jxl giant", []byte("\xff\x0a" + bits(0, 1, 3, 2, 1<<30-1, 30, 1, 3, 0, 8)), sniff.JXL, 1 << 30, 1 << 30},
		{"jxl in a box", []byte(jxlBox + box("ftyp", "jxl ", big32(0), "jxl ") + box("jxlc", "\xff\x0a"+bits(1, 1, 0, 5, 1, 3, 0, 32))), sniff.JXL, 8, 8},
		{"jxl in parts", []byte(jxlBox + box("ftyp", "jxl ", big32(0), "jxl ") + box("jxlp", big32(0), "\xff\x0a"+bits(1, 1, 0, 5, 7, 3, 0, 32)) +
			box("jxlp", big32(1<<31|1), "x")), sniff.JXL, 16, 8},
		{"svg", []byte("<svg width='5' height='7.5'/>"), sniff.SVG, 5, 8},
		{"svg by viewBox", []byte("<?xml version='1.0'?>\n<!-- > <svg> --><svg:svg xmlns:svg='a' viewBox='-1,-1 30.4 20'>"), sniff.SVG, 30, 20},
		{"svg of one side", []byte("<svg width=\"100\" viewBox=\"0 0 50 25\"  >"), sniff.SVG, 100, 50},
		{"svg of the other", []byte("<svg height=\"1in\" width=\"100%\" viewBox=\"0 0 50 25\">"), sniff.SVG, 192, 96},
		{"svg in millimetres", []byte("<svg width=\"25.4mm\" height=\"6pt\">"), sniff.SVG, 96, 8},
		{"svg beyond counting", []byte("<svg width=\"1e30\" height=\"1\">"), sniff.SVG, 1<<31 - 1, 1},
		{"svg of names", []byte("<!DOCTYPE svg PUBLIC \"a>b\" \"c\" [ <!-- ]> --> <!ENTITY ns \"http://a/\"> ]><svg width=\"9\" height=\"8\">"), sniff.SVG, 9, 8},
		{"big tiff", []byte(bigTIFF(300, 200)), sniff.TIFF, 300, 200},
	}
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		list = append(list,
			built{"tiff short " + order.String(), []byte(tiffFile(order, 8, 3, 300, 200)), sniff.TIFF, 300, 200},
			built{"tiff long " + order.String(), []byte(tiffFile(order, 99, 4, 70_000, 2)), sniff.TIFF, 70_000, 2})
	}
	return list
}

// unmeasured are files of a known format whose size cannot be told.
func unmeasured() map[string]sniff.Format {
	deep := strings.Repeat(box("free"), 5000)
	return map[string]sniff.Format{
		"RIFF\x10\x00\x00\x00WEBPVP8 ":                           sniff.WebP,
		webp("VP8 ", "\x11\x00\x00\x9d\x01\x2a\x20\x83\x58\x02"): sniff.WebP, // no key frame
		webp("VP8 ", "\x10\x00\x00\x00\x00\x00\x20\x83\x58\x02"): sniff.WebP,
		webp("VP8L", "\x2e\x00\x00\x00\x00\x00\x00\x00"):         sniff.WebP,
		webp("ALPH", "\x2e\x00\x00\x00\x00\x00\x00\x00"):         sniff.WebP,
		heif("avif"):            sniff.AVIF,
		heif("heic", 7, 9)[:90]: sniff.HEIC,
		box("ftyp", "avif", big32(0)) + deep + heif("avif", 7, 9):             sniff.AVIF, // too far to walk
		box("ftyp", "avif", big32(0)) + "\x00\x00\x00\x07meta":                sniff.AVIF, // shorter than its head
		box("ftyp", "avif", big32(0)) + "\x00\x00\x00\x01meta\x00\x00":        sniff.AVIF,
		box("ftyp", "avif", big32(0)) + "\x00\x00\x00\x01meta" + big32(0, 15): sniff.AVIF,
		box("ftyp", "avif", big32(0)) + box("meta", "\x00\x00"):               sniff.AVIF,
		"\xff\x0a": sniff.JXL, "\xff\x0a\x01": sniff.JXL,
		jxlBox + box("jxlc", "\xff"): sniff.JXL, jxlBox + box("jxlc", "\x00\x00\x00\x00\x00"): sniff.JXL, jxlBox + box("jxlp", "\x00"): sniff.JXL, jxlBox: sniff.JXL,
		"II*\x00\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00": sniff.TIFF, "MM\x00*\x00\x00\x00\x08": sniff.TIFF,
		tiffFile(binary.LittleEndian, 8, 3, 300, 0): sniff.TIFF, tiffFile(binary.LittleEndian, 8, 2, 300, 200): sniff.TIFF,
		tiffFile(binary.LittleEndian, 8, 4, 1<<31, 1): sniff.TIFF, tiffFile(binary.BigEndian, 8, 16, 5, 5): sniff.TIFF,
		bigTIFF(300, 200)[:60]: sniff.TIFF, bigTIFF(1<<40, 200): sniff.TIFF, "II+\x00\x08\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff": sniff.TIFF,
		"%PDF-1.7\n%\xe2\xe3": sniff.PDF, "<svg width='5' height='auto'/>": sniff.SVG, "<svg>": sniff.SVG, "<svg width='5'>": sniff.SVG,
		"<svg width='5' height='5": sniff.SVG, "<svg width='0' height='5'>": sniff.SVG, "<svg width='-5' height='5'>": sniff.SVG,
		"<svg width='1e999' height='5'>": sniff.SVG, "<svg width='NaN' height='0x5'>": sniff.SVG, "<svg viewBox='0 0 5'>": sniff.SVG,
		"<!DOCTYPE svg [<!ENTITY a 'b'><!ENTITY c '&a;&a;'>]><svg width='5' height='5'>":             sniff.SVG,
		"<!DOCTYPE svg [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><svg width='5' height='5'>":         sniff.SVG,
		"<!DOCTYPE svg [<!ENTITY % a 'b'> %a;]><svg width='5' height='5'>":                           sniff.SVG,
		"<!DOCTYPE svg [<!ENTITY a '" + strings.Repeat("b", 2000) + "'>]><svg width='5' height='5'>": sniff.SVG,
		"<!DOCTYPE html><html><svg width='5' height='5'>":                                            sniff.Unknown,
	}
}
