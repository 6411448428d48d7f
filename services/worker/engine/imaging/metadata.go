package imaging

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"

	"imagemill/pkg/pipeline"
)

// Tags of EXIF that are looked at by number.
const (
	tagArtist    = 0x013b
	tagCopyright = 0x8298
	tagExif      = 0x8769
)

// private are the tags that no result carries: the orientation, which has been
// applied; places; serial numbers and identities; makers' notes, which hold more
// of these; and pointers to other directories, of which the second holds the
// thumbnail.
var private = map[uint16]bool{
	0x0112: true, 0x8825: true, 0xa005: true, 0x014a: true, 0x0201: true, 0x0202: true,
	0xa430: true, 0xa431: true, 0xa435: true, 0xc62f: true, 0xa420: true, 0xc614: true, 0xc65d: true,
	0x927c: true, 0x9286: true, 0x02bc: true, 0x83bb: true, 0x8649: true, 0xea1c: true, 0xc4a5: true,
	0x0111: true, 0x0117: true, 0x0144: true, 0x0145: true, 0x8773: true,
}

// The bounds of a block that is carried over.
const (
	maxField = 4 << 10  // bytes of one value
	maxBlock = 60 << 10 // of all: a segment of a JPEG has 64 KiB
)

// field is an entry of a directory with its value, in the block's byte order.
type field struct {
	tag, kind uint16
	count     uint32
	value     []byte
}

// metadata gives the EXIF block that a rendition carries, nil for none.
func (w *work) metadata(r pipeline.Rendition) []byte {
	order := byteOrder(w.exif)
	if r.Metadata == pipeline.Strip || order == nil || len(w.exif) < 8 {
		return nil
	}
	top := directory(w.exif, order.Uint32(w.exif[4:]), order)
	var sub []field
	for _, f := range top {
		if f.tag == tagExif && len(f.value) == 4 {
			sub = directory(w.exif, order.Uint32(f.value), order)
		}
	}
	keep := func(f field) bool { return !private[f.tag] && f.tag != tagExif }
	if r.Metadata == pipeline.Copyright {
		keep = func(f field) bool { return f.tag == tagArtist || f.tag == tagCopyright }
	}
	top = slices.DeleteFunc(top, func(f field) bool { return !keep(f) })
	sub = slices.DeleteFunc(sub, func(f field) bool { return !keep(f) })
	if len(top)+len(sub) == 0 {
		return nil
	}
	block := exifBlock(top, sub, order)
	if len(block) > maxBlock {
		return nil
	}
	return block
}

// directory reads the entries of a directory whose values lie within the block.
func directory(b []byte, at uint32, order binary.ByteOrder) []field {
	if int64(at)+2 > int64(len(b)) {
		return nil
	}
	table := b[at+2:]
	var out []field
	for range min(int(order.Uint16(b[at:])), maxEntries) {
		if len(table) < 12 {
			break
		}
		f := field{tag: order.Uint16(table), kind: order.Uint16(table[2:]), count: order.Uint32(table[4:])}
		size := int64(f.count) * fieldSize(f.kind)
		switch offset := int64(order.Uint32(table[8:])); {
		case size <= 0 || size > maxField:
		case size <= 4:
			f.value = table[8 : 8+size]
			out = append(out, f)
		case offset+size <= int64(len(b)):
			f.value = b[offset : offset+size]
			out = append(out, f)
		}
		table = table[12:]
	}
	return out
}

// fieldSize is the size in bytes of one value of a type; 0 for unknown ones.
func fieldSize(kind uint16) int64 {
	if kind > 12 {
		return 0
	}
	return [13]int64{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8}[kind]
}

// exifBlock writes a block of a main directory, with an orientation of 1, and
// the one that it points to, if that has entries.
func exifBlock(top, sub []field, order binary.ByteOrder) []byte {
	short := make([]byte, 2)
	order.PutUint16(short, 1)
	top = append(top, field{0x0112, 3, 1, short})
	var pointer []byte
	if len(sub) > 0 {
		pointer = make([]byte, 4)
		top = append(top, field{tagExif, 4, 1, pointer})
	}
	slices.SortStableFunc(top, func(a, b field) int { return int(a.tag) - int(b.tag) })
	head := []byte("II*\x00\x08\x00\x00\x00")
	if order == binary.BigEndian {
		head = []byte("MM\x00*\x00\x00\x00\x08")
	}
	if pointer != nil {
		order.PutUint32(pointer, uint32(8+directorySize(top))) //nolint:gosec // bounded by maxEntries fields of maxField
	}
	b := appendDirectory(head, top, order)
	if len(sub) > 0 {
		b = appendDirectory(b, sub, order)
	}
	return b
}

// directorySize is the size in bytes of a directory with its values.
func directorySize(fields []field) int {
	size := 2 + 12*len(fields) + 4
	for _, f := range fields {
		if len(f.value) > 4 {
			size += len(f.value) + len(f.value)%2
		}
	}
	return size
}

// appendDirectory writes entries, the mark that no other directory follows, and
// the values that do not fit into their entries.
func appendDirectory(b []byte, fields []field, order binary.ByteOrder) []byte {
	put16 := func(v uint16) { b = append(b, 0, 0); order.PutUint16(b[len(b)-2:], v) }
	put32 := func(v uint32) { b = append(b, 0, 0, 0, 0); order.PutUint32(b[len(b)-4:], v) }
	values := len(b) + 2 + 12*len(fields) + 4
	put16(uint16(len(fields))) //nolint:gosec // at most maxEntries and two
	for _, f := range fields {
		put16(f.tag)
		put16(f.kind)
		put32(f.count)
		if len(f.value) <= 4 {
			b = append(append(b, f.value...), make([]byte, 4-len(f.value))...)
			continue
		}
		put32(uint32(values)) //nolint:gosec // bounded as above
		values += len(f.value) + len(f.value)%2
	}
	put32(0)
	for _, f := range fields {
		if len(f.value) > 4 {
			b = append(append(b, f.value...), make([]byte, len(f.value)%2)...)
		}
	}
	return b
}

// attach gives where in an encoded file a block of metadata goes, and the bytes
// that go there; nil for formats that carry none.
func attach(format pipeline.Format, body, block []byte) (at int, extra []byte) {
	const pngHead = 8 + 25 // signature and IHDR
	switch {
	case block == nil:
	case format == pipeline.JPEG && len(body) > 2:
		head := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(2+6+len(block))) //nolint:gosec // at most maxBlock
		return 2, bytes.Join([][]byte{head, []byte("Exif\x00\x00"), block}, nil)
	case format == pipeline.PNG && len(body) > pngHead:
		chunk := binary.BigEndian.AppendUint32(nil, uint32(len(block))) //nolint:gosec // at most maxBlock
		chunk = append(append(chunk, "eXIf"...), block...)
		return pngHead, binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	}
	return 0, nil
}
