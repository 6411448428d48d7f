package sniff

import "encoding/binary"

// maxBoxes bounds a walk through an ISO media file.
const maxBoxes = 4096

// boxes walks the boxes of an ISO media file, or of one of its boxes, as far as
// they stand in b. The last one may be cut short. visit says whether to go on.
func boxes(b []byte, visit func(kind string, body []byte) bool) {
	for range maxBoxes {
		if len(b) < 8 {
			return
		}
		size, head := uint64(binary.BigEndian.Uint32(b)), uint64(8)
		switch size {
		case 0: // to the end
			size = uint64(len(b))
		case 1: // a longer size follows
			if len(b) < 16 {
				return
			}
			size, head = binary.BigEndian.Uint64(b[8:]), 16
		}
		if size < head {
			return
		}
		end := min(size, uint64(len(b)))
		if end < head || !visit(string(b[4:8]), b[head:end]) {
			return
		}
		b = b[end:]
	}
}

// heifSize gives the largest extent that the properties of an AVIF's or HEIC's
// items name: that of the picture itself, of which tiles and thumbnails are
// smaller. A sequence without items is not looked into.
func heifSize(b []byte) (w, h int, ok bool) {
	inside := func(b []byte, want string, skip int, then func(b []byte)) {
		boxes(b, func(kind string, body []byte) bool {
			if kind == want && len(body) >= skip {
				then(body[skip:])
			}
			return true
		})
	}
	const flags = 4 // version and flags begin some boxes
	inside(b, "meta", flags, func(meta []byte) {
		inside(meta, "iprp", 0, func(properties []byte) {
			inside(properties, "ipco", 0, func(container []byte) {
				inside(container, "ispe", flags, func(extent []byte) {
					if len(extent) < 8 {
						return
					}
					extentW, extentH := int(binary.BigEndian.Uint32(extent)), int(binary.BigEndian.Uint32(extent[4:]))
					if !ok || (Info{Width: extentW, Height: extentH}).Pixels() > (Info{Width: w, Height: h}).Pixels() {
						w, h, ok = extentW, extentH, true
					}
				})
			})
		})
	})
	return w, h, ok
}
