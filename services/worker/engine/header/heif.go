package header

import (
	"encoding/binary"
	"io"
)

// maxMeta bounds the box of metadata of an AVIF or HEIC, in bytes.
const maxMeta = 1 << 20

// box is one box of an ISO media file: its four letters and its body.
type box struct {
	kind string
	body []byte
}

// boxes splits a body into the boxes that it is made of, as far as they are
// whole.
func boxes(b []byte) []box {
	var out []box
	for len(b) >= 8 && len(out) < 1024 {
		size, head := uint64(binary.BigEndian.Uint32(b)), uint64(8)
		switch {
		case size == 0:
			size = uint64(len(b))
		case size == 1 && len(b) >= 16:
			size, head = binary.BigEndian.Uint64(b[8:]), 16
		}
		if size < head || size > uint64(len(b)) {
			break
		}
		out = append(out, box{string(b[4:8]), b[head:size]})
		b = b[size:]
	}
	return out
}

// inside gives the body of the first box of a kind; nil when there is none.
func inside(all []box, kind string) []byte {
	for _, b := range all {
		if b.kind == kind {
			return b.body
		}
	}
	return nil
}

// readHEIF looks for the properties of the primary picture, and for the number
// of frames of a sequence.
func readHEIF(s *source, info *Info, most int) bool {
	info.Depth, info.Bands = 8, 3
	found := false
	for at := int64(0); s.step(); {
		b := s.bytes(at, 16)
		if len(b) < 8 {
			break
		}
		size, head := int64(binary.BigEndian.Uint32(b)), int64(8)
		switch {
		case size == 0:
			size = s.size - at
		case size == 1 && len(b) == 16:
			size, head = int64(min(binary.BigEndian.Uint64(b[8:]), 1<<62)), 16
		}
		if size < head {
			break
		}
		switch body := min(size-head, maxMeta); string(b[4:8]) {
		case "meta":
			found = readMeta(s.whole(at+head, body), info) || found
		case "moov":
			found = readMovie(s.whole(at+head, body), info, most) || found
		}
		if at += size; at >= s.size {
			break
		}
	}
	if info.Alpha {
		info.Bands = 4
	}
	return found && s.err == nil
}

// readMeta reads the properties that belong to the primary item.
func readMeta(b []byte, info *Info) bool {
	if len(b) < 4 {
		return false
	}
	meta := boxes(b[4:])
	primary, ok := primaryItem(inside(meta, "pitm"))
	properties := boxes(inside(meta, "iprp"))
	list := boxes(inside(properties, "ipco"))
	if !ok || list == nil {
		return false
	}
	found := false
	for _, i := range associated(inside(properties, "ipma"), primary) {
		if i < 1 || i > len(list) {
			continue
		}
		found = property(list[i-1], info) || found
	}
	for _, p := range list { // alpha is a picture of its own, beside the primary one
		if p.kind == "auxC" && len(p.body) > 4 && isAlpha(string(p.body[4:])) {
			info.Alpha = true
		}
	}
	return found
}

func isAlpha(kind string) bool {
	const mpeg, hevc = "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", "urn:mpeg:hevc:2015:auxid:1"
	return len(kind) >= len(mpeg) && kind[:len(mpeg)] == mpeg || len(kind) >= len(hevc) && kind[:len(hevc)] == hevc
}

func primaryItem(b []byte) (uint32, bool) {
	switch {
	case len(b) >= 6 && b[0] == 0:
		return uint32(binary.BigEndian.Uint16(b[4:])), true
	case len(b) >= 8:
		return binary.BigEndian.Uint32(b[4:]), true
	}
	return 0, false
}

// property takes in one property; true when it is the size.
func property(p box, info *Info) bool {
	b := p.body
	switch p.kind {
	case "ispe":
		if len(b) < 12 {
			return false
		}
		info.Width, info.Height = bounded(binary.BigEndian.Uint32(b[4:])), bounded(binary.BigEndian.Uint32(b[8:]))
		return true
	case "pixi":
		if len(b) >= 6 {
			info.Depth = int(b[5])
		}
	case "irot":
		if len(b) >= 1 && b[0]&1 == 1 {
			info.Width, info.Height = info.Height, info.Width
		}
	case "colr":
		if len(b) >= 8 && string(b[:4]) == "nclx" {
			if info.Profile == "" {
				info.Profile = codedProfile(int(binary.BigEndian.Uint16(b[4:])), int(binary.BigEndian.Uint16(b[6:])))
			}
		} else if len(b) > 4 && (string(b[:4]) == "prof" || string(b[:4]) == "rICC") {
			info.Profile = profileOf(b[4:])
		}
	}
	return false
}

// bounded keeps a size within an int of 32 bits.
func bounded(v uint32) int { return int(min(v, 1<<31-1)) }

// associated lists the properties of an item by their places in the list, which
// begin at 1, in the order in which they apply.
func associated(b []byte, item uint32) []int {
	r := reader{b: b}
	flags := r.number(4)
	version, wide := flags>>24, flags&1 == 1
	for n := r.number(4); n > 0 && r.err == nil; n-- {
		size := 2
		if version > 0 {
			size = 4
		}
		id := r.number(size)
		var places []int
		for m := r.number(1); m > 0 && r.err == nil; m-- {
			if wide {
				places = append(places, int(r.number(2)&0x7fff))
			} else {
				places = append(places, int(r.number(1)&0x7f))
			}
		}
		if id == item && r.err == nil {
			return places
		}
	}
	return nil
}

// reader takes numbers off the front of bytes until they end.
type reader struct {
	b   []byte
	err error
}

func (r *reader) number(size int) (v uint32) {
	if len(r.b) < size {
		r.err = io.ErrUnexpectedEOF
		return 0
	}
	for _, b := range r.b[:size] {
		v = v<<8 | uint32(b)
	}
	r.b = r.b[size:]
	return v
}

// readMovie counts the frames of a sequence: the samples of its first track.
// Its size is that of the track, where no still picture has told one.
func readMovie(b []byte, info *Info, most int) bool {
	track := boxes(inside(boxes(b), "trak"))
	table := boxes(inside(boxes(inside(boxes(inside(track, "mdia")), "minf")), "stbl"))
	if sizes := inside(table, "stsz"); len(sizes) >= 12 {
		info.Frames = int(min(max(binary.BigEndian.Uint32(sizes[8:]), 1), uint32(most))) //nolint:gosec // most is small
	}
	head := inside(track, "tkhd")
	if len(head) < 84 || info.Width > 0 {
		return false
	}
	size := head[len(head)-8:]
	info.Width, info.Height = int(binary.BigEndian.Uint32(size)>>16), int(binary.BigEndian.Uint32(size[4:])>>16)
	return info.Width > 0 && info.Height > 0
}
