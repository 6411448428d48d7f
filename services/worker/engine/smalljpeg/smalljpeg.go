// Package smalljpeg decodes a JPEG at 1/2, 1/4 or 1/8 of its size for a part of
// what the whole costs: of each block of 8×8 pixels only the coarse frequencies
// are turned into pixels.
//
// It reads what most files are: baseline, 8 bits, grey, YCbCr, or CMYK and YCCK as
// an Adobe segment tells them, all colours in one scan, chroma at 4:4:4, 4:2:2,
// 4:4:0 or 4:2:0. For everything else, and for
// everything that is not exactly as it should be, it says no, and the caller
// takes a decoder for all files, which also knows what is wrong with a bad one.
// It allocates nothing but the result, never reads beyond its input, and never
// panics: a bad file costs at most the time of a good one of that size.
package smalljpeg

import (
	"encoding/binary"
	"image"
)

// component is one of the planes of a frame.
type component struct {
	id, h, v  int
	quant     *[64]int32
	dc, ac    *huffman
	predicted int32
	pix       []uint8
	stride    int
}

// decoder is the state of one file.
type decoder struct {
	bits
	quants     [4]*[64]int32
	huffmans   [8]*huffman // four for DC, four for AC
	w, h       int
	components []component
	restart    int
	adobe      int // the transform that an Adobe segment names, -1 for none
}

// Decode gives the picture at 1/shrink, each side rounded up, in an
// *image.YCbCr, *image.Gray or *image.CMYK. It gives nil for a file that it does
// not read, or whose size is not w×h.
func Decode(b []byte, shrink, w, h int) image.Image {
	d := &decoder{adobe: -1}
	if shrink != 2 && shrink != 4 && shrink != 8 || len(b) < 4 || b[0] != 0xff || b[1] != 0xd8 {
		return nil
	}
	for at := 2; at+4 <= len(b); {
		if b[at] != 0xff {
			return nil
		}
		marker := b[at+1]
		if marker == 0xff {
			at++
			continue
		}
		size := int(binary.BigEndian.Uint16(b[at+2:]))
		if size < 2 || at+2+size > len(b) {
			return nil
		}
		body := b[at+4 : at+2+size]
		at += 2 + size
		if marker == 0xda {
			if d.w != w || d.h != h || !d.scanHeader(body) {
				return nil
			}
			d.data = b[at:]
			return d.scan(8 / shrink)
		}
		if !d.segment(marker, body) {
			return nil
		}
	}
	return nil
}

// segment takes in one segment before the scan; false when it is none that is
// read here.
func (d *decoder) segment(marker byte, b []byte) bool {
	switch {
	case marker == 0xc0 || marker == 0xc1:
		return d.frame(b)
	case marker == 0xc4:
		return d.tables(b)
	case marker == 0xdb:
		return d.quantisation(b)
	case marker == 0xdd && len(b) == 2:
		d.restart = int(binary.BigEndian.Uint16(b))
		return true
	case marker == 0xee && len(b) >= 12 && string(b[:5]) == "Adobe":
		d.adobe = int(b[11])
		return true
	}
	return marker >= 0xe0 && marker <= 0xef || marker == 0xfe
}

// frame reads the frame header.
func (d *decoder) frame(b []byte) bool {
	if len(b) < 6 || b[0] != 8 || d.components != nil {
		return false
	}
	n := int(b[5])
	d.h, d.w = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
	if n != 1 && n != 3 && n != 4 || len(b) != 6+3*n || d.w == 0 || d.h == 0 {
		return false
	}
	for i := range n {
		row := b[6+3*i:]
		c := component{id: int(row[0]), h: int(row[1] >> 4), v: int(row[1] & 15)}
		if row[2] > 3 || d.quants[row[2]] == nil {
			return false // tables may come later, but hardly ever do
		}
		c.quant = d.quants[row[2]]
		switch {
		case n == 1:
			c.h, c.v = 1, 1 // one plane alone is not interleaved, whatever it says
		case i == 0 && (c.h < 1 || c.h > 2 || c.v < 1 || c.v > 2), (i == 1 || i == 2) && (c.h != 1 || c.v != 1):
			return false
		case i == 3 && (c.h != c.v || c.h != d.components[0].h || c.v != d.components[0].v):
			return false // black is as large as what comes first
		}
		d.components = append(d.components, c)
	}
	if n == 3 && d.components[0].id == 'R' && d.components[1].id == 'G' && d.components[2].id == 'B' {
		return false
	}
	return true
}

// quantisation reads tables of steps, in their zigzag order.
func (d *decoder) quantisation(b []byte) bool {
	for len(b) > 0 {
		wide := int(b[0] >> 4)
		n := 1 + 64*(1+wide)
		if wide > 1 || b[0]&15 > 3 || len(b) < n {
			return false
		}
		var table [64]int32
		for i := range table {
			if wide == 1 {
				table[i] = int32(binary.BigEndian.Uint16(b[1+2*i:]))
			} else {
				table[i] = int32(b[1+i])
			}
		}
		d.quants[b[0]&15] = &table
		b = b[n:]
	}
	return true
}

// tables reads Huffman codes.
func (d *decoder) tables(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 17 || b[0]>>4 > 1 || b[0]&15 > 3 {
			return false
		}
		n := 0
		for _, count := range b[1:17] {
			n += int(count)
		}
		if n == 0 || n > 256 || len(b) < 17+n {
			return false
		}
		h := newHuffman(b[1:17], b[17:17+n], b[0]>>4 == 1)
		if h == nil {
			return false
		}
		d.huffmans[b[0]>>4<<2|b[0]&3] = h
		b = b[17+n:]
	}
	return true
}

// scanHeader reads which tables the components take. All must be there.
func (d *decoder) scanHeader(b []byte) bool {
	n := len(d.components)
	if n == 0 || len(b) != 4+2*n || int(b[0]) != n || n == 3 && d.adobe == 0 || n == 4 && d.adobe < 0 {
		return false
	}
	if tail := b[1+2*n:]; tail[0] != 0 || tail[1] != 63 || tail[2] != 0 {
		return false
	}
	for i := range d.components {
		c, row := &d.components[i], b[1+2*i:]
		if int(row[0]) != c.id || row[1]>>4 > 3 || row[1]&15 > 3 {
			return false
		}
		c.dc, c.ac = d.huffmans[row[1]>>4], d.huffmans[4+row[1]&15]
		if c.dc == nil || c.ac == nil {
			return false
		}
	}
	return true
}
