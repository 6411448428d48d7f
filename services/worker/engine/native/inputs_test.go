//go:build vips

package native_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/native"
	"imagemill/services/worker/engine/vips"
)

// asInputs names the formats that the child of a pool is to read besides.
const asInputs = "IMAGEMILL_TEST_INPUTS"

func switched() (on []sniff.Format) {
	for name := range strings.FieldsSeq(os.Getenv(asInputs)) {
		on = append(on, sniff.Format(name))
	}
	return on
}

// drawings is a pool whose engines, inside their sandbox, read one more format; the
// test is skipped where this libvips does not.
func drawings(t *testing.T, f sniff.Format) enginetest.Suite {
	t.Helper()
	if testing.Short() {
		t.Skip("starts engine processes, and draws what is made to be slow")
	}
	if _, err := native.New(f); err != nil {
		if os.Getenv("IMAGEMILL_CI") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return enginetest.Suite{Engine: newPool(t, asInputs+"="+string(f))}
}

// svg is a drawing of 60×40: red to the left, blue to the right.
func svg(inside string) []byte {
	return []byte(`<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:xi="http://www.w3.org/2001/XInclude" ` +
		`width="60" height="40"><rect width="30" height="40" fill="#ff0000"/><rect x="30" width="30" height="40" fill="#0000ff"/>` + inside + `</svg>`)
}

// pdf is a document of these pages: each a size and what is drawn, by operators.
func pdf(catalog string, pages ...[2]string) []byte {
	var b bytes.Buffer
	var at []int
	object := func(text string, args ...any) {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj "+text+" endobj\n", append([]any{len(at)}, args...)...)
	}
	b.WriteString("%PDF-1.4\n")
	object("<</Type/Catalog/Pages 2 0 R %s>>", catalog)
	kids := ""
	for i := range pages {
		kids += fmt.Sprintf("%d 0 R ", 4+2*i)
	}
	object("<</Type/Pages/Kids[%s]/Count %d>>", kids, len(pages))
	object("<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
	for i, p := range pages {
		object("<</Type/Page/Parent 2 0 R/MediaBox[0 0 %s]/Resources<</Font<</F1 3 0 R>>>>/Contents %d 0 R>>", p[0], 5+2*i)
		object("<</Length %d>>stream\n%s\nendstream", len(p[1]), p[1])
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&b, "trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, xref)
	return b.Bytes()
}

const (
	redLeft  = "1 0 0 rg 0 0 30 40 re f 0 0 1 rg 30 0 30 40 re f"
	withText = "BT /F1 24 Tf 4 10 Td (Agfy) Tj ET"
)

func pixel(m image.Image, x, y int) color.NRGBA {
	return color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
}

// crisp counts the pixels of a row that are neither the one colour nor the other:
// a picture that was made larger has some, a drawing none.
func crisp(t *testing.T, m image.Image, y int) {
	t.Helper()
	red, blue := color.NRGBA{R: 255, A: 255}, color.NRGBA{B: 255, A: 255}
	between := 0
	for x := range m.Bounds().Dx() {
		if c := pixel(m, x, y); c != red && c != blue {
			between++
		}
	}
	require.LessOrEqual(t, between, 1, "the edge is soft")
	require.Equal(t, red, pixel(m, 1, y))
	require.Equal(t, blue, pixel(m, m.Bounds().Dx()-2, y))
}

// dark counts dark pixels: those of letters.
func dark(m image.Image) (n int) {
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			if c := pixel(m, x, y); c.A > 128 && int(c.R)+int(c.G)+int(c.B) < 200 {
				n++
			}
		}
	}
	return n
}

// keep writes a picture to look at.
func keep(t *testing.T, name string, m image.Image) {
	dir := os.Getenv("IMAGEMILL_TEST_KEEP")
	if dir == "" {
		return
	}
	f, err := os.Create(filepath.Join(dir, name+".png"))
	require.NoError(t, err)
	require.NoError(t, png.Encode(f, m))
	require.NoError(t, f.Close())
}

const sizes = `{"renditions":[{"name":"own","format":"png"},{"name":"large","format":"png","operations":[{"op":"resize","width":600}]},` +
	`{"name":"small","format":"png","operations":[{"op":"resize","width":30}]},` +
	`{"name":"part","format":"png","operations":[{"op":"crop","width":20,"height":20,"x":20,"y":10},{"op":"resize","width":400}]},` +
	`{"name":"later","format":"png","operations":[{"op":"flip","horizontal":true},{"op":"flip","horizontal":true},{"op":"resize","width":60,"height":60,"fit":"pad"}]}]}`

// A drawing is rendered in the size that is needed: large ones are crisp.
func TestDrawingsAreRenderedInTheSizeThatIsNeeded(t *testing.T) {
	for f, original := range map[sniff.Format][]byte{sniff.SVG: svg(""), sniff.PDF: pdf("", [2]string{"60 40", redLeft})} {
		t.Run(string(f), func(t *testing.T) {
			s := drawings(t, f)
			report, err := s.Render(t, original, sizes)
			require.NoError(t, err)
			require.Equal(t, string(f), report.Original.Format)
			require.Equal(t, [2]int{60, 40}, [2]int{report.Original.Width, report.Original.Height})
			for i, want := range []image.Point{{X: 60, Y: 40}, {X: 600, Y: 400}, {X: 30, Y: 20}, {X: 400, Y: 400}, {X: 60, Y: 60}} {
				m := enginetest.Open(t, report.Renditions[i])
				require.Equal(t, want, m.Bounds().Size(), report.Renditions[i].Name)
				keep(t, string(f)+"-"+report.Renditions[i].Name, m)
				if i < 4 {
					crisp(t, m, want.Y/2)
				}
			}
			same, err := s.Render(t, original, `{"renditions":[{"operations":[{"op":"resize","width":120}]}]}`)
			require.NoError(t, err)
			require.Equal(t, "jpeg", string(same.Renditions[0].Format), "what cannot be written becomes what everybody shows")
		})
	}
}

// Letters are drawn in fonts of the system, which are read inside the sandbox.
func TestLettersOfDrawings(t *testing.T) {
	letters := svg(`<text x="2" y="30" font-size="24" font-family="monospace">Ag</text>`)
	for f, original := range map[sniff.Format][]byte{sniff.SVG: letters, sniff.PDF: pdf("", [2]string{"60 40", withText})} {
		t.Run(string(f), func(t *testing.T) {
			m := drawings(t, f).Picture(t, original, `[{"op":"resize","width":600}]`)
			keep(t, string(f)+"-letters", m)
			require.Greater(t, dark(m), 3000)
		})
	}
}

// Each rendition may be of another page, and pages have sizes of their own.
func TestPagesOfAPDF(t *testing.T) {
	s := drawings(t, sniff.PDF)
	original := pdf("", [2]string{"60 40", redLeft}, [2]string{"100 200", "0 1 0 rg 0 0 100 200 re f"})
	report, err := s.Render(t, original, `{"describe":["colors"],"renditions":[{"name":"second","frame":1,"format":"png"},`+
		`{"name":"first","format":"png","operations":[{"op":"resize","width":120}]},{"name":"again","frame":1,"format":"png","operations":[{"op":"resize","width":50}]}]}`)
	require.NoError(t, err)
	for i, want := range []image.Point{{X: 100, Y: 200}, {X: 120, Y: 80}, {X: 50, Y: 100}} {
		m := enginetest.Open(t, report.Renditions[i])
		require.Equal(t, want, m.Bounds().Size())
		require.Equal(t, i != 1, pixel(m, 5, 5).G > 200)
	}
	require.Equal(t, []string{"#00ff00"}, report.Facts.Colors)
	_, err = s.Render(t, original, `{"renditions":[{"frame":2}]}`)
	require.ErrorContains(t, err, "the PDF has no page 2")
	require.True(t, engine.Final(err))
}

// What this libvips writes as JPEG XL, and reads again.
func TestJPEGXLBothWays(t *testing.T) {
	s := drawings(t, sniff.JXL)
	original := enginetest.PNG(t, enginetest.Quadrants(120, 80))
	report, err := s.Render(t, original, `{"renditions":[{"name":"a","format":"jxl"},{"name":"b","format":"jxl","lossless":true},`+
		`{"name":"c","format":"jxl","quality":"auto","operations":[{"op":"resize","width":60}]},{"name":"d","format":"jxl","maxBytes":1000}]}`)
	require.NoError(t, err)
	for i, r := range report.Renditions {
		again, err := s.RenderFile(t, r.File, `{"renditions":[{"name":"png","format":"png"},{"name":"same","operations":[{"op":"resize","width":30}]}]}`, engine.Limits{})
		require.NoError(t, err)
		require.Equal(t, "jxl", again.Original.Format)
		require.Equal(t, "jxl", string(again.Renditions[1].Format))
		m := enginetest.Open(t, again.Renditions[0])
		require.Equal(t, [2]int{r.Width, r.Height}, [2]int{again.Original.Width, again.Original.Height})
		want := pixel(enginetest.Quadrants(r.Width, r.Height), 3, 3)
		got := pixel(m, 3, 3)
		near := func(a, b uint8) bool { return max(a, b)-min(a, b) < 16 }
		require.True(t, near(want.R, got.R) && near(want.G, got.G) && near(want.B, got.B), "%d: %v %v", i, want, got)
	}
}

// Damaged files of the formats that are switched on end in words, or as a picture;
// no process dies of them.
func TestDamagedFilesOfSwitchedFormats(t *testing.T) {
	for f, original := range map[sniff.Format]func(t *testing.T, s enginetest.Suite) []byte{
		sniff.SVG: func(*testing.T, enginetest.Suite) []byte { return svg(`<text x="2" y="30">Ag</text>`) },
		sniff.PDF: func(*testing.T, enginetest.Suite) []byte {
			return pdf("", [2]string{"60 40", redLeft + " " + withText})
		},
		sniff.JXL: func(t *testing.T, s enginetest.Suite) []byte {
			report, err := s.Render(t, enginetest.PNG(t, enginetest.Quadrants(120, 80)), `{"renditions":[{"format":"jxl"}]}`)
			require.NoError(t, err)
			b, err := os.ReadFile(report.Renditions[0].File)
			require.NoError(t, err)
			return b
		},
	} {
		t.Run(string(f), func(t *testing.T) {
			s := drawings(t, f)
			whole := original(t, s)
			random := rand.New(rand.NewPCG(1, 2))
			made, refused := 0, 0
			for i := range 120 {
				b := bytes.Clone(whole)
				if i < 30 {
					b = b[:len(b)*i/30]
				} else {
					for range 1 + random.IntN(8) {
						b[random.IntN(len(b))] = byte(random.UintN(256))
					}
				}
				report, err := s.Render(t, b, `{"renditions":[{"format":"png","operations":[{"op":"resize","width":90}]}]}`)
				require.False(t, engine.Died(err), "%d: %v", i, err)
				if err != nil {
					require.True(t, engine.Final(err), "%d: %v", i, err)
					refused++
					continue
				}
				enginetest.Open(t, report.Renditions[0])
				made++
			}
			t.Logf("%d made, %d refused", made, refused)
			require.Greater(t, refused, 10)
		})
	}
}

// Without the switch they are refused by name, and with what can be read.
func TestSwitchedFormatsAreOffByDefault(t *testing.T) {
	s := enginetest.Suite{Engine: newPool(t)}
	for name, original := range map[string][]byte{
		"SVG": svg(""), "PDF": pdf("", [2]string{"60 40", redLeft}), "JPEG XL": []byte("\xff\x0a\x00\x10\xb0\x13\x88\x02\x00\x00\x00\x00\x00\x00\x00\x00"),
	} {
		_, err := s.Render(t, original, "")
		require.ErrorContains(t, err, name+" cannot be read here; JPEG, PNG")
		require.Equal(t, fault.Unsupported, fault.KindOf(err))
	}
	_, err := native.New(sniff.PSD)
	require.ErrorContains(t, err, `"psd" is no format that can be switched on`)
	require.Equal(t, []sniff.Format{sniff.SVG, sniff.PDF, sniff.JXL}, vips.Switched())
}

// laughs is an SVG whose entities stand for a billion letters.
func laughs() []byte {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE svg [<!ENTITY a0 "ha">`)
	for i := range 9 {
		fmt.Fprintf(&b, `<!ENTITY a%d "%s">`, i+1, strings.Repeat(fmt.Sprintf("&a%d;", i), 10))
	}
	b.WriteString(`]><svg xmlns="http://www.w3.org/2000/svg" width="60" height="40"><text>&a9;</text></svg>`)
	return []byte(b.String())
}

// What SVGs bring to read files, to reach other machines, and to fill memory is
// refused in words, or draws nothing.
func TestHostileSVGs(t *testing.T) {
	s := drawings(t, sniff.SVG)
	secret := filepath.Join(t.TempDir(), "secret.png")
	white := image.NewNRGBA(image.Rect(0, 0, 60, 40))
	for i := range white.Pix {
		white.Pix[i] = 255
	}
	require.NoError(t, os.WriteFile(secret, enginetest.PNG(t, white), 0o600))
	asked := make(chan struct{}, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
			select {
			case asked <- struct{}{}:
			default:
			}
		}
	}()
	huge := image.NewPaletted(image.Rect(0, 0, 20000, 20000), color.Palette{color.White})
	bomb := "data:image/png;base64," + base64.StdEncoding.EncodeToString(enginetest.PNG(t, huge))
	picture := func(href string) []byte {
		return svg(fmt.Sprintf(`<image xlink:href="%s" href="%s" width="60" height="40"/>`, href, href))
	}
	harmless := ""
	for name, c := range map[string]struct {
		original []byte
		says     string // empty: it is drawn, and as if the hostile part were not there
	}{
		"file":           {picture("file://" + secret), harmless},
		"path":           {picture(secret), harmless},
		"relative":       {picture("../../../../../.." + secret), harmless},
		"passwd":         {picture("file:///etc/passwd"), harmless},
		"http":           {picture("http://" + listener.Addr().String() + "/a.png"), harmless},
		"xinclude":       {svg(`<xi:include parse="text" href="/etc/passwd"/>`), harmless},
		"xinclude text":  {svg(`<text y="20"><xi:include parse="text" href="file:///etc/passwd"/></text>`), harmless},
		"use":            {svg(`<use xlink:href="file://` + secret + `#a"/>`), harmless},
		"import":         {svg(`<style>@import url("http://` + listener.Addr().String() + `/a.css"); @import "file:///etc/passwd";</style>`), harmless},
		"stylesheet":     {append([]byte(`<?xml-stylesheet type="text/css" href="http://`+listener.Addr().String()+`/a.css"?>`), svg("")...), harmless},
		"script":         {svg(`<script>fetch("http://` + listener.Addr().String() + `")</script>`), harmless},
		"svg in svg":     {picture("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(picture("file://"+secret))), harmless},
		"outside entity": {[]byte(`<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg" width="60" height="40"><text y="20">&x;</text></svg>`), "entities"},
		"parameter":      {[]byte(`<!DOCTYPE svg [<!ENTITY % x SYSTEM "http://` + listener.Addr().String() + `/x.dtd"> %x;]><svg width="60" height="40"/>`), "entities"},
		"outside DTD":    {append([]byte(`<!DOCTYPE svg SYSTEM "http://`+listener.Addr().String()+`/x.dtd">`), svg("")...), harmless},
		"laughs":         {laughs(), "entities"},
		"uses of uses":   {uses(), "the SVG"},
		"huge size":      {[]byte(`<svg xmlns="http://www.w3.org/2000/svg" width="1e9" height="1e9"/>`), "a side may have at most"},
		"huge viewBox":   {[]byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 99999 99999"><rect width="9" height="9"/></svg>`), "million pixels are allowed"},
		"infinite":       {[]byte(`<svg xmlns="http://www.w3.org/2000/svg" width="1e999" height="4"/>`), "no size"},
		"no size":        {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), "it needs width and height, or a viewBox"},
		"embedded bomb":  {picture(bomb), "the SVG holds pictures of more than 50000000 pixels"},
		"cut short":      {svg("")[:150], "the SVG"},
		"not closed":     {svg("")[:len(svg(""))-6], "the SVG"},
		"deep":           {svg(strings.Repeat("<g>", 20000) + strings.Repeat("</g>", 20000)), "the SVG"},
		"rubbish":        {append(svg("")[:120], bytes.Repeat([]byte{0xff, 0, '<'}, 100)...), "the SVG"},
		"another's size": {[]byte(`<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40" style="width:9000px;height:9000px"/>`), "not clear"},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := s.Render(t, c.original, `{"renditions":[{"format":"png"}]}`)
			require.False(t, engine.Died(err), "%v", err)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				require.True(t, engine.Final(err))
				return
			}
			require.NoError(t, err)
			m := enginetest.Open(t, report.Renditions[0])
			keep(t, "hostile-"+strings.ReplaceAll(name, " ", "-"), m)
			crisp(t, m, 20)
		})
	}
	select {
	case <-asked:
		t.Fatal("a drawing reached another machine")
	default:
	}
}

// uses is an SVG of few elements that stand for a billion.
func uses() []byte {
	var b strings.Builder
	b.WriteString(`<defs><rect id="a0" width="1" height="1"/>`)
	for i := range 10 {
		fmt.Fprintf(&b, `<g id="a%d">%s</g>`, i+1, strings.Repeat(fmt.Sprintf(`<use xlink:href="#a%d"/>`, i), 10))
	}
	b.WriteString(`</defs><use xlink:href="#a10"/>`)
	return svg(b.String())
}

// What PDFs bring beside pages is not carried out, and a damaged one is refused in
// words.
func TestHostilePDFs(t *testing.T) {
	s := drawings(t, sniff.PDF)
	page := [2]string{"60 40", redLeft}
	whole := pdf("", page)
	for name, c := range map[string]struct {
		original []byte
		says     string // empty: it is drawn
	}{
		"script":     {pdf("/OpenAction<</S/JavaScript/JS(app.launchURL\\('http://127.0.0.1:9'\\))>>", page), ""},
		"launch":     {pdf("/OpenAction<</S/Launch/F(/bin/sh)/Win<</F(cmd.exe)>>>>", page), ""},
		"other file": {pdf("/OpenAction<</S/GoToR/F(/etc/passwd)/D[0/Fit]>>", page), ""},
		"form":       {pdf("/AcroForm<</XFA(x)/Fields[]>>/Names<</JavaScript<</Names[(a)<</S/JavaScript/JS(while\\(1\\);)>>]>>>>", page), ""},
		"huge page":  {pdf("", [2]string{"200000 200000", redLeft}), "a side may have at most"},
		"large page": {pdf("", [2]string{"14400 14400", redLeft}), "million pixels are allowed"},
		"no page":    {pdf(""), "the PDF"},
		"empty page": {pdf("", [2]string{"0 0", redLeft}), ""},
		"cut short":  {whole[:len(whole)/3], "the PDF"},
		"head only":  {[]byte("%PDF-1.7\n%%EOF"), "the PDF"},
		"rubbish":    {append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte{0xff, '<', '<', 0}, 1000)...), "the PDF"},
		"own parent": {[]byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[2 0 R]/Count 1>>endobj\ntrailer<</Root 1 0 R>>"), "the PDF"},
		"nested":     {pdf("", [2]string{"60 40", strings.Repeat("q ", 200000) + redLeft}), ""},
		"encrypted":  {encrypted(), "the PDF is encrypted"},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := s.Render(t, c.original, `{"renditions":[{"format":"png"}]}`)
			require.False(t, engine.Died(err), "%v", err)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				require.True(t, engine.Final(err), "%v", err)
				return
			}
			require.NoError(t, err)
			m := enginetest.Open(t, report.Renditions[0])
			keep(t, "hostile-pdf-"+strings.ReplaceAll(name, " ", "-"), m)
			if name != "empty page" {
				crisp(t, m, 20)
			}
		})
	}
}

// encrypted says that it is encrypted, by a key that nobody has.
func encrypted() []byte {
	word := strings.Repeat("<"+strings.Repeat("5a", 32)+">", 1)
	return bytes.Replace(pdf("", [2]string{"60 40", redLeft}), []byte("/Root 1 0 R"),
		[]byte("/Root 1 0 R/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O"+word+"/U"+word+">>"), 1)
}
