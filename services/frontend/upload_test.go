package frontend

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/ability"
	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
)

func TestRawUploadIsPassedOnWhole(t *testing.T) {
	s := start(t)
	for _, contentType := range []string{"image/png", "image/jpeg", "application/octet-stream"} {
		a := s.do(http.MethodPost, "/newImage", bytes.NewReader(testPNG(t)), "Content-Type", contentType)
		require.Equal(t, http.StatusAccepted, a.StatusCode, "%s", a.body)
		var acc accepted
		require.NoError(t, json.Unmarshal(a.body, &acc))
		assert.Equal(t, "/image/isReady?id="+acc.ID, a.Header.Get("Location"))
		img, _, err := s.master.find(acc.ID)
		require.NoError(t, err)
		assert.Equal(t, testPNG(t), img.bytes)
		assert.Equal(t, "image/png", img.upload.ContentType, "by its bytes, whatever the header says")
		assert.Equal(t, int64(len(testPNG(t))), img.upload.Size)
	}
}

func TestUploadWithoutOperationsGetsTheDefaultPreset(t *testing.T) {
	s := start(t)
	s.post("", testPNG(t))
	_, doc, n := s.master.only()
	require.Equal(t, 1, n)
	ops := doc["renditions"].([]any)[0].(map[string]any)["operations"]
	assert.Equal(t, []any{
		map[string]any{"op": "resize", "width": 1280., "height": 1280., "fit": "contain", "noEnlarge": true},
		map[string]any{"op": "swapRedBlue"},
	}, ops)
}

func TestEveryWayToSayWhatToDo(t *testing.T) {
	doc := `{"renditions":[{"operations":[{"op":"crop","width":4,"height":3,"x":1,"y":2},{"op":"blur","sigma":2}],"format":"gif"}]}`
	for query, want := range map[string]string{
		"?preset=thumbnail": `"width":256`,
		"?width=5":          `"width":5`,
		"?grayscale&rotate=90&flip=h&brightness=-10&contrast=1.5&gamma=2&saturation=3&hue=4&invert=1&swap=rb&blur=1&sharpen=2":   `"op":"hue"`,
		"?width=4&height=3&fit=fill&noEnlarge=true&gravity=north&format=jpg&quality=7&crop=4x3&autoOrient=false":                 `"quality":7`,
		"?width=4&height=3&fit=pad&background=ff0000":                                                                            `"#ff0000"`,
		"?trim&percent=50&sepia&tint=ff8800&extract=red&pixelate=4&round=25%25&flatten&text=hello&text_size=9&text_color=ffffff": `"roundCorners"`,
		"?crop=4x3&fp=0.5,0.25&extend=1,2,3,4&frame=2&format=webp&lossless&effort=3&metadata=keep&profile=p3":                    `"focalPoint"`,
		"?megapixels=1&watermark=W1/small&wm_gravity=east&wm_x=-3&wm_opacity=0.5&wm_scale=0.5&format=auto&quality=auto":          `"watermark"`,
		"?width=9&height=9&fit=cover&gravity=attention&dpr=2&ssim=0.9&maxBytes=2000&chroma=444&progressive&describe=exif,phash":  `"describe"`,
		"?format=png&colors=16&trim=20,ffffff&flatten=000000&sepia=40":                                                           `"colors":16`,
		"?pipeline=" + url.QueryEscape(doc): `"sigma":2`,
	} {
		s := start(t)
		a := s.post(query, testPNG(t))
		require.Equal(t, http.StatusAccepted, a.StatusCode, "%s: %s", query, a.body)
		img, _, _ := s.master.only()
		assert.Contains(t, string(img.upload.Pipeline), want)
	}
}

// form makes a multipart body; the field named image is a file.
func form(t testing.TB, fields ...string) (body *bytes.Reader, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		if fields[i] != "image" {
			require.NoError(t, w.WriteField(fields[i], fields[i+1]))
			continue
		}
		part, err := w.CreateFormFile("image", "photo.jpg")
		require.NoError(t, err)
		_, err = part.Write([]byte(fields[i+1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return bytes.NewReader(b.Bytes()), w.FormDataContentType()
}

func TestFormUpload(t *testing.T) {
	s := start(t)
	body, contentType := form(t, "width", "5", "format", "png", "image", string(testPNG(t)))
	a := s.do(http.MethodPost, "/newImage", body, "Content-Type", contentType)
	require.Equal(t, http.StatusAccepted, a.StatusCode, "%s", a.body)
	img, _, _ := s.master.only()
	assert.Equal(t, testPNG(t), img.bytes, "the picture and nothing of the form around it")
	assert.Equal(t, int64(-1), img.upload.Size)
	assert.Contains(t, string(img.upload.Pipeline), `"width":5`)
}

func TestWrongForms(t *testing.T) {
	png := string(testPNG(t))
	for _, c := range []struct {
		fields        []string
		status        int
		field, detail string
		passedOn      bool
	}{
		{[]string{"image", png, "width", "5"}, 400, "width", "before", true},
		{[]string{"width", "5"}, 400, "image", "no field named image", false},
		{[]string{"width", "5", "width", "6", "image", png}, 400, "width", "2 times", false},
		{[]string{"colour", "5", "image", png}, 400, "colour", "not known", false},
		{[]string{"pipeline", strings.Repeat("x", maxField+1), "image", png}, 413, "pipeline", "too large", false},
		{[]string{"image", ""}, 400, "", "empty", false},
		{[]string{"image", "I am a text"}, 415, "", "no known image format", false},
	} {
		s := start(t)
		body, contentType := form(t, c.fields...)
		p := s.do(http.MethodPost, "/newImage", body, "Content-Type", contentType).problem(t, c.status)
		assert.Equal(t, c.field, p.Field)
		assert.Contains(t, p.Detail, c.detail)
		_, _, n := s.master.only()
		assert.Zero(t, n, "nothing was taken in")
		if !c.passedOn {
			s.nothing()
		}
	}
}

func TestBrokenForms(t *testing.T) {
	s := start(t)
	send := func(body, contentType string) fault.Problem {
		return s.do(http.MethodPost, "/newImage", strings.NewReader(body), "Content-Type", contentType).problem(t, 400)
	}
	assert.Contains(t, send("x", "multipart/form-data").Detail, "boundary")
	assert.Contains(t, send("x", "multipart/form-data; boundary=b").Detail, "form")
	head := "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n" + string(testPNG(t))
	assert.Contains(t, send(head, "multipart/form-data; boundary=b").Detail, "form", "without its end")
	_, _, n := s.master.only()
	assert.Zero(t, n)
}

func TestWrongOperations(t *testing.T) {
	for _, c := range []struct{ query, field, detail string }{
		{"?width=-5", "width", "-5; allowed is 1 to 16384"},
		{"?width=x", "width", "whole number"},
		{"?colour=red", "colour", "not known; allowed is"},
		{"?preset=giant", "preset", "default, large, medium, small, thumbnail"},
		{"?preset=", "preset", "default"},
		{"?preset=small&preset=large", "pipeline", "one preset"},
		{"?preset=small&width=5", "pipeline", "either"},
		{"?preset=small&pipeline={}", "pipeline", "either"},
		{"?pipeline={}&width=5", "pipeline", "either"},
		{"?pipeline=nonsense", "", "JSON"},
		{"?pipeline=" + url.QueryEscape(`{"renditions":[{"operations":[{"op":"blur","sigma":1},{"op":"resize","widht":4}]}]}`),
			"renditions[0].operations[1].widht", "not known"},
		{"?pipeline=" + url.QueryEscape(`{"renditions":[{"operations":[{"op":"explode"}]}]}`), "renditions[0].operations[0].op", "allowed is resize"},
	} {
		s := start(t)
		p := s.post(c.query, testPNG(t)).problem(t, 400)
		assert.Equal(t, c.field, p.Field, c.query)
		assert.Contains(t, p.Detail, c.detail, c.query)
		s.nothing()
	}
}

func TestWhatIsNoPictureIsRefusedBeforeItIsPassedOn(t *testing.T) {
	for _, c := range []struct {
		body   string
		status int
		detail string
	}{
		{"", 400, "empty"},
		{"I am a text, whatever my name.jpg says", 415, "no known image format; send one of: JPEG, PNG, GIF, TIFF, BMP, WebP"},
		{"%PDF-1.7 and so on", 415, "PDF, which is not supported"},
		{"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00mif1avif\x00\x00\x00\x00", 415, "AVIF, which is not supported"},
		{"RIFF\x10\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\xff\xff\x00", 413, "65536×65536"},
		{string(giantPNG(t)), 413, "50000×50000"},
	} {
		s := start(t)
		p := s.post("", []byte(c.body)).problem(t, c.status)
		assert.Contains(t, p.Detail, c.detail)
		s.nothing()
	}
}

// What workers can read is the operator's to say.
func TestInputsAreASetting(t *testing.T) {
	s := start(t, func(c *Config) { c.Inputs = []string{"avif", "pdf"} })
	for _, body := range []string{"%PDF-1.7 and so on", "\x00\x00\x00\x1cftypavif\x00\x00\x00\x00mif1avif\x00\x00\x00\x00"} {
		assert.Equal(t, http.StatusAccepted, s.post("", []byte(body)).StatusCode, body)
	}
	assert.Contains(t, s.post("", testPNG(t)).problem(t, 415).Detail, "send one of: AVIF, PDF")
	cfg := DefaultConfig()
	cfg.Inputs = []string{"png", "doc"}
	assert.ErrorContains(t, cfg.Validate(), `INPUTS: "doc" is no format; allowed are auto, or of [jpeg png gif`)
	cfg.Inputs = nil
	assert.ErrorContains(t, cfg.Validate(), "INPUTS: is empty")
}

// What no worker's engine could carry out is refused at once, and says what could
// be had; while nothing is known of any engine, nothing is.
func TestWhatNoEngineCanDoIsRefused(t *testing.T) {
	plain := ability.Reading(sniff.PNG) | ability.Reading(sniff.JPEG) | ability.Writing(pipeline.PNG) | ability.Writing(pipeline.JPEG)
	rich := plain | ability.Reading(sniff.AVIF) | ability.Reading(sniff.SVG) | ability.Writing(pipeline.WebP) | ability.Animation | ability.Progressive
	var engines []ability.Set
	s := start(t)
	s.service.deps.Engines = func() []ability.Set { return engines }
	svg := []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"/>`)
	assert.Equal(t, http.StatusAccepted, s.post("?format=webp", testPNG(t)).StatusCode, "a worker that can may come")
	assert.Contains(t, s.post("", svg).problem(t, 415).Detail, "SVG, which is not supported; send one of: JPEG, PNG, GIF, TIFF, BMP, WebP")

	engines = []ability.Set{plain}
	p := s.post("?format=webp", testPNG(t)).problem(t, 400)
	assert.Equal(t, "format", p.Field)
	assert.Equal(t, "WebP cannot be written here; JPEG, PNG can", p.Detail)
	p = s.post("?pipeline="+url.QueryEscape(`{"renditions":[{"name":"a"},{"name":"b","format":"jpeg","progressive":true}]}`), testPNG(t)).problem(t, 400)
	assert.Equal(t, "renditions[1].progressive", p.Field)
	assert.Contains(t, s.post("", svg).problem(t, 415).Detail, "send one of: JPEG, PNG")
	assert.Equal(t, http.StatusAccepted, s.post("?format=auto", testPNG(t)).StatusCode)

	engines = []ability.Set{plain, rich}
	assert.Equal(t, http.StatusAccepted, s.post("?format=webp", testPNG(t)).StatusCode, "one that can is enough")
	assert.Equal(t, http.StatusAccepted, s.post("?format=webp", svg).StatusCode)
	assert.Contains(t, s.post("", []byte("%PDF-1.7")).problem(t, 415).Detail, "send one of: JPEG, PNG, AVIF, SVG")

	s.service.cfg.Inputs = []string{"png", "svg", "pdf"}
	assert.Contains(t, s.post("", []byte("%PDF-1.7")).problem(t, 415).Detail, "send one of: PNG, SVG")
}

func TestPixelLimitsCountSidesToo(t *testing.T) {
	s := start(t, func(c *Config) { c.Side = 7 })
	assert.Contains(t, s.post("", testPNG(t)).problem(t, 413).Detail, "7 a side")
	s = start(t, func(c *Config) { c.InputPixels = 47 })
	assert.Contains(t, s.post("", testPNG(t)).problem(t, 413).Detail, "47 pixels")
	s = start(t, func(c *Config) { c.InputPixels, c.Side = 48, 8 })
	assert.Equal(t, http.StatusAccepted, s.post("", testPNG(t)).StatusCode)
}

func TestUploadsOverTheLimitAreRefusedAtOnce(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxUploads = 2 })
	var held []*hand
	for range 2 {
		h := s.dial()
		h.write("POST /newImage HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\n" + string(padded(t, 40_000)))
		<-s.master.began
		held = append(held, h)
	}
	a := s.post("", testPNG(t))
	a.problem(t, 503)
	assert.Contains(t, []string{"1", "2"}, a.Header.Get("Retry-After"))
	for _, h := range held {
		h.close()
		require.Error(t, <-s.master.ended)
	}
	assert.Eventually(t, func() bool { return s.post("", testPNG(t)).StatusCode == http.StatusAccepted },
		time.Minute, time.Millisecond, "places are given back")
}

func TestFailuresOfTheMasterKeepTheirKind(t *testing.T) {
	s := start(t)
	s.master.refuseWith(fault.New(fault.Unavailable, "no imagemaster is there").WithRetryAfter(3 * time.Second))
	a := s.post("", testPNG(t))
	assert.Equal(t, "no imagemaster is there", a.problem(t, 503).Detail)
	assert.Equal(t, "3", a.Header.Get("Retry-After"))
	s.master.refuseWith(fault.New(fault.StorageFull, "the disk is full"))
	s.post("", testPNG(t)).problem(t, 507)
	s.master.refuseWith(assert.AnError)
	p := s.post("", testPNG(t)).problem(t, 500)
	assert.NotContains(t, p.Detail, assert.AnError.Error(), "causes stay inside")
}
