package sniff

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
)

// SVGPrefix is how far into a file the root element of an SVG is looked for, and
// how much of it is read, in bytes: behind comments and the entities that drawing
// programs declare.
const SVGPrefix = 64 << 10

// sniffSVG is how far Sniff looks for that element's name.
const sniffSVG = 4 << 10

// The reasons why the size of an SVG is not to be had.
var (
	// ErrSVGBroken is a beginning that is no well-formed one, or goes on for too long.
	ErrSVGBroken = errors.New("its beginning is damaged, or longer than 64 KiB")
	// ErrSVGEntities is the declaration of an entity that is made of others, or lies
	// in another file.
	ErrSVGEntities = errors.New("it declares entities that are made of others, or lie elsewhere")
	// ErrSVGSize is a root element that says too little.
	ErrSVGSize = errors.New("it says no size: it needs width and height, or a viewBox")
)

// SVGSize reads the size of an SVG out of its beginning, in pixels of which an inch
// has 96: width and height of the root element, or one of them in the shape of the
// viewBox, or the viewBox. A percentage counts as none, and an em is 12 pixels, as
// librsvg has it. The sizes are above 0 and may have fractions.
func SVGSize(b []byte) (w, h float64, err error) {
	b = b[:min(len(b), SVGPrefix)]
	root, err := svgRoot(b, true)
	if err != nil {
		return 0, 0, err
	}
	attributes, ok := svgAttributes(root)
	if !ok {
		return 0, 0, ErrSVGBroken
	}
	w, hasW := svgLength(attributes["width"])
	h, hasH := svgLength(attributes["height"])
	boxW, boxH, hasBox := svgBox(attributes["viewBox"])
	switch {
	case hasW && hasH:
	case !hasBox:
		return 0, 0, ErrSVGSize
	case hasW:
		h = w * boxH / boxW
	case hasH:
		w = h * boxW / boxH
	default:
		w, h = boxW, boxH
	}
	if !(w > 0 && h > 0) || math.IsInf(w, 0) || math.IsInf(h, 0) {
		return 0, 0, ErrSVGSize
	}
	return w, h, nil
}

// svgSize is SVGSize in whole pixels, at least one, as libvips rounds them.
func svgSize(b []byte) (w, h int, ok bool) {
	wide, high, err := SVGSize(b)
	return WholeSide(wide), WholeSide(high), err == nil
}

// WholeSide rounds a side of a drawing to whole pixels, 1 to 2^31-1.
func WholeSide(v float64) int { return int(min(max(math.Floor(v+0.5), 1), math.MaxInt32)) }

// isSVG reports whether the first element of a text is <svg>, whatever its prefix.
func isSVG(b []byte) bool {
	_, err := svgRoot(b[:min(len(b), sniffSVG)], false)
	return err == nil
}

// svgRoot skips what stands before the first element, which has to be <svg>, and
// gives all behind its name. Entities are looked at if strict.
func svgRoot(b []byte, strict bool) ([]byte, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	for {
		b = bytes.TrimLeft(b, " \t\r\n")
		var end int
		switch {
		case bytes.HasPrefix(b, []byte("<?")):
			end = after(b, "?>")
		case bytes.HasPrefix(b, []byte("<!--")):
			end = after(b, "-->")
		case bytes.HasPrefix(b, []byte("<!DOCTYPE")):
			var err error
			if end, err = doctype(b); err != nil && strict {
				return nil, err
			}
		default:
			return svgElement(b)
		}
		if end < 0 {
			return nil, ErrSVGBroken
		}
		b = b[end:]
	}
}

// svgElement gives what stands behind the name of an element <svg>.
func svgElement(b []byte) ([]byte, error) {
	if len(b) == 0 || b[0] != '<' {
		return nil, ErrSVGBroken
	}
	end := bytes.IndexAny(b, " \t\r\n/>")
	if end < 0 {
		return nil, ErrSVGBroken
	}
	name := string(b[1:end])
	if _, local, ok := strings.Cut(name, ":"); ok {
		name = local
	}
	if name != "svg" {
		return nil, ErrSVGBroken
	}
	return b[end:], nil
}

// after is where a text ends that ends with mark, -1 for nowhere.
func after(b []byte, mark string) int {
	i := bytes.Index(b, []byte(mark))
	if i < 0 {
		return -1
	}
	return i + len(mark)
}

// doctype is where a document type declaration ends, -1 for nowhere, and
// ErrSVGEntities if it does more than to name things.
func doctype(b []byte) (end int, err error) {
	const declares = "<!ENTITY"
	depth := 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case bytes.HasPrefix(b[i:], []byte("<!--")):
			n := after(b[i:], "-->")
			if n < 0 {
				return -1, err
			}
			i += n - 1
		case bytes.HasPrefix(b[i:], []byte(declares)):
			n := entity(b[i+len(declares):])
			if n < 0 {
				return -1, ErrSVGEntities
			}
			if !plainEntity(b[i+len(declares) : i+len(declares)+n]) {
				err = ErrSVGEntities
			}
			i += len(declares) + n - 1
		case c == '"' || c == '\'':
			n := bytes.IndexByte(b[i+1:], c)
			if n < 0 {
				return -1, err
			}
			i += n + 1
		case c == '%':
			err = ErrSVGEntities // a parameter entity is put in
		case c == '<' || c == '[':
			depth++
		case c == ']':
			depth--
		case c == '>':
			if depth--; depth <= 0 {
				return i + 1, err
			}
		}
	}
	return -1, err
}

// entity is where a declaration ends that goes on with b, -1 for nowhere.
func entity(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case '"', '\'':
			n := bytes.IndexByte(b[i+1:], c)
			if n < 0 {
				return -1
			}
			i += n + 1
		case '>':
			return i + 1
		}
	}
	return -1
}

// maxEntity is the longest text that an entity may stand for, in bytes.
const maxEntity = 1 << 10

// plainEntity reports whether a declaration is that of a short text without
// references: ` name "text">`.
func plainEntity(b []byte) bool {
	fields := bytes.Fields(b)
	if len(fields) < 2 || len(b) > maxEntity || bytes.ContainsAny(b, "&%") {
		return false
	}
	return fields[1][0] == '"' || fields[1][0] == '\''
}

// svgAttributes reads the attributes of an element up to its end. Those in a
// namespace keep their prefix.
func svgAttributes(b []byte) (map[string]string, bool) {
	const most = 256
	out := map[string]string{}
	for len(out) < most {
		b = bytes.TrimLeft(b, " \t\r\n")
		if len(b) == 0 {
			return nil, false
		}
		if b[0] == '>' || b[0] == '/' {
			return out, true
		}
		equals := bytes.IndexByte(b, '=')
		if equals < 1 {
			return nil, false
		}
		name := strings.TrimSpace(string(b[:equals]))
		b = bytes.TrimLeft(b[equals+1:], " \t\r\n")
		if len(b) < 2 || b[0] != '"' && b[0] != '\'' {
			return nil, false
		}
		n := bytes.IndexByte(b[1:], b[0])
		if n < 0 {
			return nil, false
		}
		out[name] = string(b[1 : 1+n])
		b = b[n+2:]
	}
	return nil, false
}

// svgUnits are the units of lengths, in pixels.
var svgUnits = []struct {
	name   string
	pixels float64
}{
	{"", 1}, {"px", 1}, {"in", 96}, {"cm", 96 / 2.54}, {"mm", 96 / 25.4}, {"pt", 96.0 / 72}, {"pc", 16}, {"em", 12}, {"ex", 6},
}

// svgLength reads a length in pixels; not ok for none, a share or another unit.
func svgLength(text string) (v float64, ok bool) {
	text = strings.TrimSpace(text)
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ%")
	for _, u := range svgUnits {
		if text[len(number):] == u.name {
			v, ok = svgNumber(number)
			return v * u.pixels, ok
		}
	}
	return 0, false
}

// svgBox reads the size of a viewBox: its last two of four numbers.
func svgBox(text string) (w, h float64, ok bool) {
	parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,", r) })
	if len(parts) != 4 {
		return 0, 0, false
	}
	w, okW := svgNumber(parts[2])
	h, okH := svgNumber(parts[3])
	return w, h, okW && okH && w > 0 && h > 0
}

// svgNumber reads a number as SVG writes it, without the names and the bases that
// Go has besides.
func svgNumber(text string) (float64, bool) {
	if strings.Trim(text, "0123456789+-.eE") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil
}
