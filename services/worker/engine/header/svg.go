package header

import "imagemill/internal/sniff"

// readSVG reads the size of a drawing. Why it has none is in the words of sniff.
func readSVG(s *source, info *Info) error {
	w, h, err := sniff.SVGSize(s.whole(0, sniff.SVGPrefix))
	if err != nil {
		return err
	}
	info.Drawn = [2]float64{w, h}
	info.Width, info.Height = sniff.WholeSide(w), sniff.WholeSide(h)
	info.Alpha, info.Bands, info.Depth, info.Profile = true, 4, 8, ""
	return nil
}
