//go:build vips

package vips

import (
	"os"
	"sync"

	"imagemill/internal/sniff"
	"imagemill/services/worker/engine"
)

// What the libraries beneath load at the first use (the configuration of fonts and
// its caches, the decoders of embedded pictures) they have to load before the
// sandbox closes: small drawings with all of that.
const (
	smallSVG = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="32">` +
		`<text x="2" y="20" font-family="serif" font-size="12">Ag</text><text x="32" y="20" font-family="sans-serif" font-weight="bold">Ag</text>` +
		`<image width="1" height="1" xlink:href="data:image/png;base64,` +
		`iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="/></svg>`
	smallPDF = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
		"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 64 32]/Resources<</Font<</F1 4 0 R>>>>/Contents 5 0 R>>endobj\n" +
		"4 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n" +
		"5 0 obj<</Length 37>>stream\nBT /F1 12 Tf 2 10 Td (Ag) Tj ET      \nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)

var rehearsed sync.Once

// rehearse draws what can be drawn here once. That it fails is no failure: what
// cannot be drawn is said of the picture that needs it.
func rehearse(can engine.Abilities) {
	rehearsed.Do(func() {
		for f, text := range map[sniff.Format]string{sniff.SVG: smallSVG, sniff.PDF: smallPDF} {
			if can.Reads(string(f)) {
				_ = drawOnce(f, text)
			}
		}
	})
}

func drawOnce(f sniff.Format, text string) error {
	file, err := os.CreateTemp("", "imagemill-*")
	if err != nil {
		return err
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}()
	if _, err := file.WriteString(text); err != nil {
		return err
	}
	return onThread(func() error {
		var s scope
		defer s.close()
		m, err := s.load(file, f, loading{})
		if err == nil {
			_, err = s.memory(m)
		}
		return err
	})
}
