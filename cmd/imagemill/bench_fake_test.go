package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"imagemill/pkg/client"
)

// fakeFrontend makes the preset default of every picture at once. Its hooks
// spoil what it answers; each gets the number of the upload, from 1.
type fakeFrontend struct {
	URL string

	refuse func(n int) (status int)
	state  func(n int) string
	result func(n int, right *image.NRGBA) *image.NRGBA
	tell   func(n int, p *client.Picture)
	upload func(n int, r *http.Request)

	mu           sync.Mutex
	pictures     [][]byte // by number - 1
	now, atOnce  int      // uploads under way, and the most at a time
	keys, params map[string]int
}

func newFakeFrontend(t *testing.T) *fakeFrontend {
	t.Helper()
	f := &fakeFrontend{keys: map[string]int{}, params: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /newImage", f.newImage)
	mux.HandleFunc("GET /image/isReady", f.isReady)
	mux.HandleFunc("GET /image/get", f.get)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	f.URL = srv.URL
	return f
}

func (f *fakeFrontend) newImage(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	f.pictures = append(f.pictures, body)
	n := len(f.pictures)
	f.keys[r.Header.Get("Authorization")]++
	f.params[r.URL.RawQuery]++
	f.now++
	f.atOnce = max(f.atOnce, f.now)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.now--
	}()
	if f.upload != nil {
		f.upload(n, r)
	}
	if f.refuse != nil && f.refuse(n) != 0 {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(f.refuse(n))
		_, _ = fmt.Fprintf(w, `{"title":"no","status":%d,"detail":"upload refused"}`, f.refuse(n))
		return
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(w, `{"id":"image-%d"}`, n)
}

// made gives the number of the image that is asked for, its result, and what is
// told of it.
func (f *fakeFrontend) made(r *http.Request) (n int, data []byte, p client.Picture) {
	n, _ = strconv.Atoi(r.URL.Query().Get("id")[len("image-"):])
	f.mu.Lock()
	original := f.pictures[n-1]
	f.mu.Unlock()
	m := swapped(original)
	if f.result != nil {
		m = f.result(n, m)
	}
	data = encoded(m)
	sum := sha256.Sum256(data)
	return n, data, client.Picture{
		Name: "default", Format: "png", ContentType: "image/png", Size: int64(len(data)),
		Width: m.Rect.Dx(), Height: m.Rect.Dy(), SHA256: hex.EncodeToString(sum[:]),
	}
}

func (f *fakeFrontend) isReady(w http.ResponseWriter, r *http.Request) {
	n, _, p := f.made(r)
	if f.tell != nil {
		f.tell(n, &p)
	}
	st := client.Status{ID: fmt.Sprint("image-", n), State: client.Finished}
	if p.Name != "" {
		st.Renditions = []client.Picture{p}
	}
	if f.state != nil {
		if s := f.state(n); s != "" {
			st.State, st.Error = s, "that is no image"
		}
	}
	_ = json.NewEncoder(w).Encode(st)
}

func (f *fakeFrontend) get(w http.ResponseWriter, r *http.Request) {
	_, data, p := f.made(r)
	w.Header().Set("ETag", `"`+p.SHA256+`"`)
	w.Header().Set("Content-Type", p.ContentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data)
}

// swapped is the preset default of a small PNG.
func swapped(data []byte) *image.NRGBA {
	in, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		panic(err)
	}
	out := image.NewNRGBA(in.Bounds())
	for y := range in.Bounds().Dy() {
		for x := range in.Bounds().Dx() {
			c := color.NRGBAModel.Convert(in.At(x, y)).(color.NRGBA)
			out.SetNRGBA(x, y, color.NRGBA{R: c.B, G: c.G, B: c.R, A: c.A})
		}
	}
	return out
}

func encoded(m image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}
