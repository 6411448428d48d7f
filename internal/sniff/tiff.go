package sniff

import "encoding/binary"

// What a TIFF's first directory calls width and height, and the types that
// their values may have.
const (
	tagWidth, tagHeight   = 256, 257
	typeShort, typeLong   = 3, 4
	typeLong8             = 16
	maxEntries, maxExtent = 4096, 1 << 31
)

// tiffSize reads the first directory where it stands in the prefix. Many
// writers put it behind the pixels.
func tiffSize(b []byte) (w, h int, ok bool) {
	if len(b) < 16 {
		return 0, 0, false
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if b[0] == 'M' {
		order = binary.BigEndian
	}
	d := directory{b: b, order: order, at: uint64(order.Uint32(b[4:])), count: 2, entry: 12, value: 8}
	if order.Uint16(b[2:]) == 43 { // BigTIFF
		d = directory{b: b, order: order, at: order.Uint64(b[8:]), count: 8, entry: 20, value: 12}
	}
	w, h = d.size()
	return w, h, w > 0 && h > 0
}

// directory is a list of entries: a count of so many bytes, then entries of so
// many, with their value at so many.
type directory struct {
	b                   []byte
	order               binary.ByteOrder
	at                  uint64
	count, entry, value uint64
}

// size gives 0 for a side that is not there.
func (d directory) size() (w, h int) {
	size := uint64(len(d.b))
	if d.at > size || size-d.at < d.count {
		return 0, 0
	}
	n := uint64(d.order.Uint16(d.b[d.at:]))
	if d.count == 8 {
		n = d.order.Uint64(d.b[d.at:])
	}
	entries := d.b[d.at+d.count:]
	for range min(n, maxEntries) {
		if uint64(len(entries)) < d.entry {
			break
		}
		switch d.order.Uint16(entries) {
		case tagWidth:
			w = d.number(entries)
		case tagHeight:
			h = d.number(entries)
		}
		entries = entries[d.entry:]
	}
	return w, h
}

// number reads the value of an entry; 0 when it is none that a side can have,
// or one of several, which stand elsewhere.
func (d directory) number(entry []byte) int {
	if d.several(entry) {
		return 0
	}
	var v uint64
	value := entry[d.value:]
	switch d.order.Uint16(entry[2:]) {
	case typeShort:
		v = uint64(d.order.Uint16(value))
	case typeLong:
		v = uint64(d.order.Uint32(value))
	case typeLong8:
		if len(value) < 8 {
			return 0
		}
		v = d.order.Uint64(value)
	}
	if v >= maxExtent {
		return 0
	}
	return int(v)
}

// several reports whether an entry has more than one value.
func (d directory) several(entry []byte) bool {
	if d.count == 8 {
		return d.order.Uint64(entry[4:]) > 1
	}
	return d.order.Uint32(entry[4:]) > 1
}
