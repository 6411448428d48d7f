package frontend

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"imagemill/services/imagemaster"
)

const browser = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"

func TestAcceptChoosesFromASet(t *testing.T) {
	set := []imagemaster.Picture{
		{Name: "a", ContentType: "image/png", Size: 50}, {Name: "a.webp", ContentType: "image/webp", Size: 20}, {Name: "a.avif", ContentType: "image/avif", Size: 10},
		{Name: "b", ContentType: "image/jpeg", Size: 50}, {Name: "b.webp", ContentType: "image/webp", Size: 20}, {Name: "b.avif", ContentType: "image/avif", Size: 60},
		{Name: "c", ContentType: "image/webp", Size: 5},
	}
	for _, c := range []struct{ name, accept, want string }{
		{"a", browser, "a.avif"},
		{"", browser, "a.avif"},
		{"b", browser, "b.webp"}, // AVIF is not always the smallest
		{"c", browser, "c"},
		{"a", "image/webp,*/*", "a.webp"},
		{"a", "*/*", "a"},
		{"a", "image/*", "a"},
		{"a", "image/avif;q=0.5,image/webp;q=0.9,*/*;q=0.1", "a.webp"},
		{"a", "image/avif;q=0.5,image/png", "a"},
		{"a", "image/avif;q=0,image/webp;q=0", "a"},
		{"a", "image/avif;q=2,image/webp;q=x", "a"},
		{"a", "IMAGE/AVIF ; Q=0.7", "a.avif"},
		{"a", "image/webp;;;,,/,image/avif", "a.avif"},
		{"none", browser, "none"},
	} {
		assert.Equal(t, c.want, best(set, c.name, c.accept), "%s for %s", c.name, c.accept)
	}
}

func TestDownloadsAreNegotiated(t *testing.T) {
	s := start(t)
	id := s.master.add(imagemaster.StateFinished, testPNG(t))
	s.master.addRendition(id, "default.webp", "webp", []byte("a smaller WebP"))
	s.master.addRendition(id, "other", "jpeg", []byte("of another"))
	path := "/image/get?id=" + id

	a := s.get(path, "Accept", browser)
	assert.Equal(t, "a smaller WebP", string(a.body))
	assert.Equal(t, "image/webp", a.Header.Get("Content-Type"))
	assert.Equal(t, "Accept", a.Header.Get("Vary"))
	assert.Contains(t, a.Header.Get("Content-Disposition"), `-default.webp"`)
	tag := a.Header.Get("ETag")
	assert.Equal(t, http.StatusNotModified, s.get(path, "Accept", browser, "If-None-Match", tag).StatusCode)
	assert.Equal(t, "WebP", string(s.get(path, "Accept", browser, "Range", "bytes=-4", "If-Range", tag).body))

	plain := s.get(path, "Accept", "*/*")
	assert.Equal(t, testPNG(t), plain.body)
	assert.NotEqual(t, tag, plain.Header.Get("ETag"))
	assert.Equal(t, testPNG(t), s.get(path+"&rendition=default").body)
	assert.Equal(t, "a smaller WebP", string(s.get(path+"&rendition=default.webp").body))
	assert.Equal(t, "of another", string(s.get(path+"&rendition=other", "Accept", browser).body))
	s.get(path+"&rendition=none", "Accept", browser).problem(t, 404)
	s.get("/image/get?id="+unknownID, "Accept", browser).problem(t, 404)
	pending := s.master.add(imagemaster.StateInProgress, nil)
	s.get("/image/get?id="+pending, "Accept", browser).problem(t, 409)
}

func FuzzAccept(f *testing.F) {
	f.Add(browser)
	f.Add("image/webp;q=0.5, image/avif;q=1;x=\"a,b\"")
	set := []imagemaster.Picture{{Name: "a", ContentType: "image/png"}, {Name: "a.webp", ContentType: "image/webp"}, {Name: "b"}}
	f.Fuzz(func(t *testing.T, accept string) {
		got := best(set, "a", accept)
		if got != "a" && (got != "a.webp" || !strings.Contains(strings.ToLower(accept), "image/webp")) {
			t.Fatalf("%q for %q", got, accept)
		}
	})
}
