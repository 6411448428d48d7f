package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image/color"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Run runs every scenario against a suite.
func Run(t *testing.T, s Suite) {
	t.Helper()
	c := NewClient(s)
	t.Cleanup(c.Close)
	for _, sc := range []struct {
		name string
		run  func(*testing.T, *Client)
	}{
		{"first picture", firstPicture},
		{"orientation", orientation},
		{"several renditions", severalRenditions},
		{"operations in the query", operations},
		{"form", form},
		{"ranges and caching", ranges},
		{"waiting", waiting},
		{"bad uploads", badUploads},
		{"bad pictures", badPictures},
		{"bad questions", badQuestions},
		{"too large", tooLarge},
		{"hang-up midway", hangUp},
		{"for later, given up, and again", later},
		{"all that failed once more", failedAgain},
		{"hostile pictures", hostile},
		{"repeats and ends", repeatsAndEnds},
	} {
		t.Run(sc.name, func(t *testing.T) { sc.run(t, c) })
	}
}

// firstPicture: without operations, the preset default fits a photograph into
// 1280×1280 and swaps blue and red.
func firstPicture(t *testing.T, c *Client) {
	photo := Photograph(t, "branches.jpg")
	a := c.Must(t, http.MethodPost, "/newImage", photo)
	require.Equal(t, http.StatusAccepted, a.Status, "body: %s", a.Body)
	require.Equal(t, "/image/isReady?id="+a.Text(t, "id"), a.Header.Get("Location"))
	id := a.Text(t, "id")
	st := c.Finished(t, id)
	got := c.Download(t, id, "")
	require.Equal(t, "image/jpeg", got.Header.Get("Content-Type"))
	CheckSwapped(t, photo, got.Body)
	sum := sha256.Sum256(got.Body)
	require.Contains(t, string(st.Body), hex.EncodeToString(sum[:]))
}

// CheckSwapped compares a result of the preset default with its original, pixel
// by pixel on a grid: the same size, as it is below 1280, the same upright
// orientation, red and blue swapped.
func CheckSwapped(t testing.TB, original, result []byte) {
	t.Helper()
	in, _ := Decode(t, original)
	out, _ := Decode(t, result)
	require.Equal(t, in.Bounds().Size(), out.Bounds().Size())
	size, sum, n := in.Bounds().Size(), 0, 0
	for y := 0; y < size.Y; y += 7 {
		for x := 0; x < size.X; x += 7 {
			ir, ig, ib, _ := in.At(x, y).RGBA()
			or, og, ob, _ := out.At(x, y).RGBA()
			for _, d := range []int{int(ir>>8) - int(ob>>8), int(ig>>8) - int(og>>8), int(ib>>8) - int(or>>8)} {
				sum, n = sum+max(d, -d), n+1
			}
		}
	}
	require.Less(t, float64(sum)/float64(n), 6.0, "mean difference after swapping back, of 255")
}

// orientation: all EXIF orientations come out the same, upright.
func orientation(t *testing.T, c *Client) {
	want, _ := Decode(t, Photograph(t, "orientation_0.jpg"))
	for i := 1; i <= 8; i++ {
		id := c.Upload(t, Photograph(t, fmt.Sprintf("orientation_%d.jpg", i)), "?format=png")
		c.Finished(t, id)
		got, _ := Decode(t, c.Download(t, id, "").Body)
		require.Equal(t, want.Bounds().Size(), got.Bounds().Size(), "orientation %d", i)
		size := want.Bounds().Size()
		for _, at := range [][2]int{{size.X / 8, size.Y / 8}, {size.X * 7 / 8, size.Y / 8}, {size.X / 8, size.Y * 7 / 8}} {
			w, _ := color.NRGBAModel.Convert(want.At(at[0], at[1])).(color.NRGBA)
			RequireNear(t, w, got.At(at[0], at[1]), 48)
		}
	}
}

// severalRenditions: one document, three pictures of one original.
func severalRenditions(t *testing.T, c *Client) {
	doc := `{"renditions":[
		{"name":"small","operations":[{"op":"resize","width":60,"height":60}],"format":"jpeg","quality":90},
		{"name":"square","operations":[{"op":"resize","width":50,"height":50,"fit":"cover","gravity":"west"}],"format":"png"},
		{"name":"grey","operations":[{"op":"grayscale"}],"format":"gif"}]}`
	id := c.Upload(t, Halves(t, 240, 120), "?pipeline="+url.QueryEscape(doc))
	st := c.Finished(t, id).JSON(t)
	require.Len(t, st["renditions"], 3)
	for _, want := range []struct {
		name, format  string
		width, height int
	}{{"small", "jpeg", 60, 30}, {"square", "png", 50, 50}, {"grey", "gif", 240, 120}} {
		img, format := Decode(t, c.Download(t, id, want.name).Body)
		require.Equal(t, want.format, format)
		require.Equal(t, [2]int{want.width, want.height}, [2]int{img.Bounds().Dx(), img.Bounds().Dy()}, want.name)
		if want.name == "square" { // its left edge, so all red
			RequireNear(t, color.NRGBA{220, 20, 20, 255}, img.At(25, 25), 12)
		}
	}
	a := c.Must(t, http.MethodGet, "/image/get?id="+id+"&rendition=large", nil)
	require.Equal(t, http.StatusNotFound, a.Status)
}

// operations: each does what its name says, to a picture of one colour.
func operations(t *testing.T, c *Client) {
	for query, want := range map[string]color.NRGBA{
		"swap=rb":         {50, 100, 200, 255},
		"invert=true":     {55, 155, 205, 255},
		"grayscale=true":  {124, 124, 124, 255},
		"brightness=20":   {251, 151, 101, 255},
		"saturation=-100": {125, 125, 125, 255},
		"rotate=90":       {200, 100, 50, 255},
		"blur=2":          {200, 100, 50, 255},
	} {
		id := c.Upload(t, Colored(t, 40, 30, color.NRGBA{200, 100, 50, 255}), "?format=png&"+query)
		c.Finished(t, id)
		img, _ := Decode(t, c.Download(t, id, "").Body)
		t.Log(query)
		RequireNear(t, want, img.At(20, 15), 4)
	}
}

// form: as a browser sends it, with the field after which nothing may come.
func form(t *testing.T, c *Client) {
	picture := Halves(t, 64, 64)
	const boundary = "XbOuNdArY"
	part := func(name, more string, body []byte) string {
		return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"" + more + "\r\n\r\n" + string(body) + "\r\n"
	}
	end := "--" + boundary + "--\r\n"
	image := part("image", `; filename="x.jpg"`, picture)
	field := part("pipeline", "", []byte(`{"renditions":[{"operations":[{"op":"resize","width":16}],"format":"png"}]}`))
	header := []string{"Content-Type", "multipart/form-data; boundary=" + boundary}

	a := c.Must(t, http.MethodPost, "/newImage", []byte(field+image+end), header...)
	require.Equal(t, http.StatusAccepted, a.Status, "body: %s", a.Body)
	id := a.Text(t, "id")
	c.Finished(t, id)
	img, _ := Decode(t, c.Download(t, id, "").Body)
	require.Equal(t, 16, img.Bounds().Dx())

	a = c.Must(t, http.MethodPost, "/newImage", []byte(image+field+end), header...)
	require.Equal(t, http.StatusBadRequest, a.Status, "a field after the image: %s", a.Body)
}

// ranges: parts of a result, and not twice what the client has.
func ranges(t *testing.T, c *Client) {
	id := c.Upload(t, Photograph(t, "branches.jpg"), "?width=300")
	c.Finished(t, id)
	whole := c.Download(t, id, "")
	path := "/image/get?id=" + id
	tag := whole.Header.Get("ETag")
	require.NotEmpty(t, tag)
	require.Contains(t, whole.Header.Get("Cache-Control"), "immutable")
	a := c.Must(t, http.MethodGet, path, nil, "Range", "bytes=10-19")
	require.Equal(t, http.StatusPartialContent, a.Status)
	require.Equal(t, whole.Body[10:20], a.Body)
	require.Equal(t, fmt.Sprintf("bytes 10-19/%d", len(whole.Body)), a.Header.Get("Content-Range"))
	a = c.Must(t, http.MethodGet, path, nil, "Range", "bytes=-5")
	require.Equal(t, whole.Body[len(whole.Body)-5:], a.Body)
	a = c.Must(t, http.MethodGet, path, nil, "Range", "bytes=99999999-")
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, a.Status)
	a = c.Must(t, http.MethodGet, path, nil, "If-None-Match", tag)
	require.Equal(t, http.StatusNotModified, a.Status)
	require.Empty(t, a.Body)
	a = c.Must(t, http.MethodHead, path, nil)
	require.Equal(t, fmt.Sprint(len(whole.Body)), a.Header.Get("Content-Length"))
	require.Empty(t, a.Body)
}

// waiting: a wait that is over answers with the state of now.
func waiting(t *testing.T, c *Client) {
	id := c.Upload(t, Photograph(t, "branches.jpg"), "")
	a := c.Must(t, http.MethodGet, "/image/isReady?id="+id, nil)
	require.Contains(t, []string{"in progress", "finished"}, a.Text(t, "state"))
	c.Finished(t, id)
	again := c.Must(t, http.MethodGet, "/image/isReady?wait=60s&id="+id, nil)
	require.Equal(t, "finished", again.Text(t, "state"))
}

// badUploads are refused at once, with the field that was wrong.
func badUploads(t *testing.T, c *Client) {
	picture := Halves(t, 32, 32)
	for _, b := range []struct {
		name, query string
		body        []byte
		status      int
		field       string
	}{
		{"empty body", "", []byte{}, 400, ""},
		{"text", "", []byte("this is no picture, whatever its name is"), 415, ""},
		{"huge header", "", HugeHeader(50_000, 50_000), 413, ""},
		{"unknown operation", "?explode=1", picture, 400, "explode"},
		{"negative width", "?width=-5", picture, 400, "width"},
		{"unknown preset", "?preset=nope", picture, 400, "preset"},
		{"two ways at once", "?preset=default&width=5", picture, 400, "pipeline"},
		{"unknown JSON field", "?pipeline=" + url.QueryEscape(`{"renditions":[{"operations":[],"colour":1}]}`), picture, 400, "renditions[0].colour"},
		{"unknown op", "?pipeline=" + url.QueryEscape(`{"renditions":[{"operations":[{"op":"explode"}]}]}`), picture, 400, "renditions[0].operations[0].op"},
		{"no JSON", "?pipeline=%7B", picture, 400, ""},
	} {
		a := c.Must(t, http.MethodPost, "/newImage"+b.query, b.body)
		require.Equal(t, b.status, a.Status, "%s: %s", b.name, a.Body)
		requireProblem(t, a)
		require.Equal(t, b.field, a.Text(t, "field"), "%s: %s", b.name, a.Body)
	}
}

func requireProblem(t testing.TB, a Answer) {
	t.Helper()
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"), "body: %s", a.Body)
	p := a.JSON(t)
	require.EqualValues(t, a.Status, p["status"])
	require.NotEmpty(t, p["detail"])
	require.NotEmpty(t, p["requestId"])
}

// badPictures are accepted and then fail, with a reason, or are small and work.
func badPictures(t *testing.T, c *Client) {
	photo := Photograph(t, "branches.jpg")
	for name, body := range map[string][]byte{
		"truncated JPEG":         photo[:len(photo)/2],
		"nothing after a header": photo[:24],
	} {
		id := c.Upload(t, body, "")
		st := c.Wait(t, id)
		require.Equal(t, "failed", st.Text(t, "state"), name)
		require.NotEmpty(t, st.Text(t, "error"), name)
		a := c.Must(t, http.MethodGet, "/image/get?id="+id, nil)
		require.Equal(t, http.StatusUnprocessableEntity, a.Status, name)
		requireProblem(t, a)
	}
	id := c.Upload(t, Colored(t, 1, 1, color.NRGBA{9, 8, 7, 255}), "")
	c.Finished(t, id)
	img, _ := Decode(t, c.Download(t, id, "").Body)
	RequireNear(t, color.NRGBA{7, 8, 9, 255}, img.At(0, 0), 0)
}

// later: an image for later is not worked before; it can be cancelled, and what is
// cancelled can be worked after all.
func later(t *testing.T, c *Client) {
	id := c.Upload(t, Halves(t, 32, 32), "?lane=batch&delay=1h")
	a := c.Must(t, http.MethodGet, "/image/isReady?id="+id, nil)
	require.Equal(t, "in progress", a.Text(t, "state"))
	require.Equal(t, "batch", a.Text(t, "lane"))
	at, err := time.Parse(time.RFC3339Nano, a.Text(t, "notBefore"))
	require.NoError(t, err)
	require.Greater(t, time.Until(at), 30*time.Minute)
	a = c.Must(t, http.MethodPost, "/v1/images/"+id+"/cancel", nil)
	require.Equal(t, http.StatusOK, a.Status, "body: %s", a.Body)
	require.Equal(t, "cancelled", a.Text(t, "state"))
	a = c.Must(t, http.MethodGet, "/image/get?id="+id, nil)
	require.Equal(t, http.StatusConflict, a.Status)
	require.Equal(t, "cancelled", a.Text(t, "state"))
	a = c.Must(t, http.MethodPost, "/v1/images/"+id+"/retry", nil)
	require.Equal(t, "in progress", a.Text(t, "state"), "body: %s", a.Body)
	c.Finished(t, id)
	soon := c.Upload(t, Halves(t, 32, 32), "?delay=1s")
	c.Finished(t, soon)
}

// failedAgain: what failed is listed, with the reasons, and retried as a whole.
func failedAgain(t *testing.T, c *Client) {
	photo := Photograph(t, "branches.jpg")
	id := c.Upload(t, photo[:len(photo)/2], "")
	require.Equal(t, "failed", c.Wait(t, id).Text(t, "state"))
	before := id[:len(id)-1] // a cursor below this image and above those of other scenarios
	a := c.Must(t, http.MethodGet, "/v1/images?state=failed&limit=1&after="+before, nil)
	require.Equal(t, http.StatusOK, a.Status, "body: %s", a.Body)
	require.Contains(t, string(a.Body), id)
	a = c.Must(t, http.MethodPost, "/v1/images/retry?state=failed&after="+before, nil)
	require.Equal(t, http.StatusOK, a.Status, "body: %s", a.Body)
	require.EqualValues(t, 1, a.JSON(t)["retried"])
	again := c.Wait(t, id)
	require.Equal(t, "failed", again.Text(t, "state"))
	require.Len(t, again.JSON(t)["failures"], 2)
}

// badQuestions are answered with what was wrong.
func badQuestions(t *testing.T, c *Client) {
	unknown := "01890a5d-ac96-774b-bcce-b302099a8057"
	for _, b := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/image/isReady?id=" + unknown, 404},
		{"GET", "/image/get?id=" + unknown, 404},
		{"GET", "/image/isReady?id=42", 400},
		{"GET", "/image/isReady", 400},
		{"GET", "/image/get?id=../../etc/passwd", 400},
		{"GET", "/image/isReady?id=" + unknown + "&wait=soon", 400},
		{"GET", "/image/isReady?id=" + unknown + "&wait=1h", 400},
		{"GET", "/image/isReady?id=" + unknown + "&color=red", 400},
		{"DELETE", "/newImage", 405},
		{"GET", "/newImage", 405},
		{"POST", "/image/get?id=" + unknown, 405},
		{"GET", "/nothing/here", 404},
	} {
		a := c.Must(t, b.method, b.path, nil)
		require.Equal(t, b.status, a.Status, "%s %s: %s", b.method, b.path, a.Body)
		requireProblem(t, a)
	}
	a := c.Must(t, http.MethodGet, "/image/isReady?id="+unknown, nil)
	require.Equal(t, "not found", a.Text(t, "state"))
}

// tooLarge: refused by its announced length before the body has been read, and
// without an announced length when it has grown too long.
func tooLarge(t *testing.T, c *Client) {
	u, err := url.Parse(c.suite.URL())
	require.NoError(t, err)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", u.Host)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(callTimeout)))
	_, err = fmt.Fprintf(conn, "POST /newImage HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n\xff\xd8\xff")
	require.NoError(t, err)
	head := make([]byte, 12)
	_, err = io.ReadFull(conn, head)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 413", string(head))

	endless := io.MultiReader(bytes.NewReader(Halves(t, 32, 32)), io.LimitReader(zeros{}, 200<<20))
	a, err := c.Do(t.Context(), http.MethodPost, "/newImage", endless)
	if err == nil { // the server may close before the client has sent all
		require.Equal(t, http.StatusRequestEntityTooLarge, a.Status)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// hangUp: a client that leaves midway leaves nothing behind; the suite goes on.
func hangUp(t *testing.T, c *Client) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	begun := Photograph(t, "branches.jpg")[:20_000]
	go func() {
		_, _ = w.Write(begun)
		cancel()
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
	}()
	_, err := c.Do(ctx, http.MethodPost, "/newImage", r)
	require.Error(t, err)
	c.Finished(t, c.Upload(t, Halves(t, 32, 32), ""))
}

// hostile: the known holes of the decoders cost their own image, and nothing else.
func hostile(t *testing.T, c *Client) {
	cve, err := os.ReadFile(Shared(t, "hostile", "cve-2023-36308.tif"))
	require.NoError(t, err)
	bomb, err := os.ReadFile(Shared(t, "hostile", "output-bomb-1x65537.tif"))
	require.NoError(t, err)
	refused := c.Must(t, http.MethodPost, "/newImage?width=16000", bomb)
	require.Equal(t, http.StatusRequestEntityTooLarge, refused.Status, "its header says enough: %s", refused.Body)
	requireProblem(t, refused)
	// A thread that is small enough to be taken in would become a giant too.
	giant := c.Wait(t, c.Upload(t, Halves(t, 1, 16_000), "?width=16000"))
	require.Equal(t, "failed", giant.Text(t, "state"), "status: %s", giant.Body)
	require.NotEmpty(t, giant.Text(t, "error"))
	require.NotContains(t, strings.ToLower(giant.Text(t, "error")), "panic")
	// The engine in Go refuses the one that libtiff can read.
	odd := c.Wait(t, c.Upload(t, cve, ""))
	if odd.Text(t, "state") != "finished" {
		require.Equal(t, "failed", odd.Text(t, "state"), "status: %s", odd.Body)
		require.NotEmpty(t, odd.Text(t, "error"))
	}
	c.Finished(t, c.Upload(t, Halves(t, 32, 32), ""))
}
