// Package exif reads the directories of a TIFF structure, which is what EXIF
// metadata is and what a TIFF file begins with.
//
// Every byte of it is hostile: the package reads a bounded number of
// directories, entries and bytes, follows no offset twice in a row without
// counting it, never panics, and leaves out what does not make sense instead of
// failing. It writes nothing and knows no picture formats.
package exif

import (
	"encoding/binary"
	"io"
)

// The bounds of what is looked at.
const (
	maxEntries = 512  // of one directory
	maxValue   = 1024 // bytes of one value; what is longer is cut
	maxReads   = 2048 // of one structure
)

// The types of values, by their numbers.
const (
	typeByte      = 1
	typeASCII     = 2
	typeShort     = 3
	typeLong      = 4
	typeRational  = 5
	typeUndefined = 7
	typeSLong     = 9
	typeSRational = 10
)

// sizes are the bytes of one value of each type; 0 for types that are unknown.
var sizes = [13]int64{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8}

// File is an opened structure. It is not safe for concurrent use.
type File struct {
	r     io.ReaderAt
	order binary.ByteOrder
	first int64
	reads int
}

// Open reads the eight bytes that a structure begins with; false when it is
// none.
func Open(r io.ReaderAt) (*File, bool) {
	f := &File{r: r}
	head := f.read(0, 8)
	if len(head) < 8 {
		return nil, false
	}
	switch string(head[:4]) {
	case "II*\x00":
		f.order = binary.LittleEndian
	case "MM\x00*":
		f.order = binary.BigEndian
	default:
		return nil, false
	}
	f.first = int64(f.order.Uint32(head[4:]))
	return f, true
}

// read gives up to n bytes at an offset, fewer at the end, none when enough has
// been read.
func (f *File) read(at int64, n int64) []byte {
	if f.reads++; f.reads > maxReads || at < 0 || n <= 0 {
		return nil
	}
	b := make([]byte, n)
	got, _ := f.r.ReadAt(b, at)
	return b[:got]
}

// First is the offset of the first directory.
func (f *File) First() int64 { return f.first }

// Directory reads the directory at an offset: its entries in their order, as far
// as they are there.
func (f *File) Directory(at int64) []Entry {
	head := f.read(at, 2)
	if len(head) < 2 {
		return nil
	}
	n := min(int64(f.order.Uint16(head)), maxEntries)
	table := f.read(at+2, n*12)
	entries := make([]Entry, 0, len(table)/12)
	for ; len(table) >= 12; table = table[12:] {
		entries = append(entries, Entry{
			Tag: f.order.Uint16(table), kind: f.order.Uint16(table[2:]), count: int64(f.order.Uint32(table[4:])),
			inline: [4]byte(table[8:12]), file: f,
		})
	}
	return entries
}
