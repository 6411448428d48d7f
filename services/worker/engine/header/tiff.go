package header

import (
	"io"

	"imagemill/services/worker/engine/exif"
)

// The tags of a TIFF's first directory that say how it is stored.
const (
	tiffWidth       = 256
	tiffHeight      = 257
	tiffBits        = 258
	tiffPhotometric = 262
	tiffSamples     = 277
	tiffExtra       = 338
	tiffProfile     = 34675
)

// readTIFF reads the first directory, which may lie anywhere in the file.
// Further pages are not counted: only one is ever decoded.
func readTIFF(s *source, info *Info) bool {
	f, ok := exif.Open(io.NewSectionReader(s.r, 0, s.size))
	if !ok {
		return false
	}
	entries := f.Directory(f.First())
	info.Depth, info.Bands = 1, 1
	palette := false
	for _, e := range entries {
		v, ok := e.Int()
		switch {
		case e.Tag == tiffProfile:
			info.Profile = profileOf(s.whole(e.Offset(), min(e.Size(), maxBlock)))
		case !ok || v < 0:
		case e.Tag == tiffWidth:
			info.Width = int(v)
		case e.Tag == tiffHeight:
			info.Height = int(v)
		case e.Tag == tiffBits:
			info.Depth = int(min(v, 64))
		case e.Tag == tiffSamples:
			info.Bands = int(min(v, 32))
		case e.Tag == tiffExtra:
			info.Alpha = v == 1 || v == 2
		case e.Tag == tiffPhotometric && v == 3: // a palette
			palette = true
		}
	}
	if palette {
		info.Bands, info.Depth = 3, 8 // of its colours
	}
	info.EXIF.Add(f, entries)
	info.Orientation = info.EXIF.Orientation
	if info.Profile == "" {
		info.Profile = exifProfile(info.EXIF)
	}
	return info.Width > 0 && info.Height > 0
}
