package frontend

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
)

const unknownID = "01890a5d-ac96-774b-bcce-b302099a8057"

func TestStatusOfEveryState(t *testing.T) {
	s := start(t)
	for _, state := range []string{
		imagemaster.StateInProgress, imagemaster.StateFinished, imagemaster.StateFailed, imagemaster.StateCancelled,
	} {
		id := s.master.add(state, []byte("result"))
		a := s.get("/image/isReady?id=" + id)
		require.Equal(t, http.StatusOK, a.StatusCode)
		var st imagemaster.Status
		require.NoError(t, json.Unmarshal(a.body, &st))
		assert.Equal(t, state, st.State)
		if state == imagemaster.StateFinished {
			assert.Equal(t, "result", string(s.get(st.Results[0].URL).body), "the address that it gives works")
		}
	}
}

func TestWaitAnswersWhenTheImageEnds(t *testing.T) {
	s := start(t)
	id := s.master.add(imagemaster.StateInProgress, nil)
	got := make(chan answer, 1)
	go func() { got <- s.get("/image/isReady?wait=60s&id=" + id) }()
	s.master.end(id, imagemaster.StateFinished, []byte("result"))
	assert.Contains(t, string((<-got).body), `"state":"finished"`)

	id = s.master.add(imagemaster.StateInProgress, nil)
	assert.Contains(t, string(s.get("/image/isReady?wait=1ms&id="+id).body), `"state":"in progress"`)
}

func TestWrongQuestions(t *testing.T) {
	s := start(t)
	id := s.master.add(imagemaster.StateFinished, []byte("result"))
	for _, c := range []struct{ path, field string }{
		{"/image/isReady?id=nonsense", "id"}, {"/image/isReady", "id"}, {"/image/get?id=..%2Fx", "id"}, {"/image/get", "id"},
		{"/image/isReady?id=" + strings.ToUpper(id) + "x", "id"},
		{"/image/isReady?wait=soon&id=" + id, "wait"}, {"/image/isReady?wait=-1s&id=" + id, "wait"},
		{"/image/isReady?wait=2h&id=" + id, "wait"}, {"/image/isReady?weight=1s&id=" + id, "weight"},
		{"/image/get?size=1&id=" + id, "size"},
	} {
		assert.Equal(t, c.field, s.get(c.path).problem(t, 400).Field, c.path)
	}
}

func TestUnknownImages(t *testing.T) {
	s := start(t)
	for _, path := range []string{"/image/isReady?id=", "/image/isReady?wait=30s&id=", "/image/get?id="} {
		p := s.get(path+unknownID).problem(t, 404)
		assert.Equal(t, "not found", p.State)
		assert.Equal(t, unknownID, p.ID)
	}
	id := s.master.add(imagemaster.StateFinished, []byte("result"))
	p := s.get("/image/get?rendition=nope&id="+id).problem(t, 404)
	assert.Equal(t, "rendition", p.Field)
	assert.Empty(t, p.State, "the image is there")
}

func TestUnfinishedImages(t *testing.T) {
	s := start(t)
	for state, status := range map[string]int{
		imagemaster.StateInProgress: 409, imagemaster.StateCancelled: 409, imagemaster.StateFailed: 422,
	} {
		id := s.master.add(state, nil)
		p := s.get("/image/get?id="+id).problem(t, status)
		assert.Equal(t, state, p.State)
		assert.Equal(t, id, p.ID)
		if status == 422 {
			assert.Contains(t, p.Detail, "ends too early")
		}
		assert.Equal(t, status, s.do(http.MethodHead, "/image/get?id="+id, nil).StatusCode)
	}
}

func TestDownloadHeaders(t *testing.T) {
	s := start(t)
	id := s.master.add(imagemaster.StateFinished, []byte("0123456789"))
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		a := s.do(method, "/image/get?id="+id, nil)
		require.Equal(t, http.StatusOK, a.StatusCode)
		for name, want := range map[string]string{
			"Content-Type": "image/png", "Content-Length": "10", "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff",
			"ETag": tagOf("0123456789"), "Cache-Control": "private, max-age=31536000, immutable",
			"Content-Disposition": `inline; filename="` + id + `-default.png"`,
		} {
			assert.Equal(t, want, a.Header.Get(name), "%s %s", method, name)
		}
		if method == http.MethodGet {
			assert.Equal(t, "0123456789", string(a.body))
		} else {
			assert.Empty(t, a.body)
		}
	}
}

func tagOf(b string) string { return `"` + describe("", []byte(b)).SHA256 + `"` }

func TestRanges(t *testing.T) {
	s := start(t)
	id := s.master.add(imagemaster.StateFinished, []byte("0123456789"))
	for _, c := range []struct {
		header       string
		status       int
		want, ranged string
	}{
		{"bytes=0-3", 206, "0123", "bytes 0-3/10"},
		{"bytes=7-", 206, "789", "bytes 7-9/10"},
		{"bytes=-2", 206, "89", "bytes 8-9/10"},
		{"bytes=-99", 206, "0123456789", "bytes 0-9/10"},
		{"bytes=8-99", 206, "89", "bytes 8-9/10"},
		{"bytes=0-1,4-5", 200, "0123456789", ""},
		{"lines=0-1", 200, "0123456789", ""},
		{"bytes=5-2", 200, "0123456789", ""},
		{"bytes=10-", 416, "", "bytes */10"},
		{"bytes=99-100", 416, "", "bytes */10"},
		{"bytes=-0", 416, "", "bytes */10"},
	} {
		a := s.get("/image/get?id="+id, "Range", c.header)
		require.Equal(t, c.status, a.StatusCode, c.header)
		assert.Equal(t, c.ranged, a.Header.Get("Content-Range"), c.header)
		if c.status != 416 {
			assert.Equal(t, c.want, string(a.body), c.header)
		}
		assert.Equal(t, c.status, s.do(http.MethodHead, "/image/get?id="+id, nil, "Range", c.header).StatusCode, c.header)
	}
}

func TestConditions(t *testing.T) {
	s := start(t)
	id := s.master.add(imagemaster.StateFinished, []byte("0123456789"))
	tag, other := tagOf("0123456789"), tagOf("other")
	for _, c := range []struct {
		header, value string
		status        int
	}{
		{"If-None-Match", tag, 304}, {"If-None-Match", "W/" + tag, 304}, {"If-None-Match", other + ", " + tag, 304},
		{"If-None-Match", "*", 304}, {"If-None-Match", other, 206},
		{"If-Range", tag, 206}, {"If-Range", other, 200}, {"If-Range", "W/" + tag, 200},
		{"If-Range", time.Now().UTC().Format(http.TimeFormat), 200},
	} {
		a := s.get("/image/get?id="+id, "Range", "bytes=0-3", c.header, c.value)
		assert.Equal(t, c.status, a.StatusCode, "%s: %s", c.header, c.value)
		assert.Equal(t, tag, a.Header.Get("ETag"))
		assert.Equal(t, map[int]string{200: "0123456789", 206: "0123", 304: ""}[c.status], string(a.body))
	}
}

func TestWrongMethodsAndRoutes(t *testing.T) {
	s := start(t)
	for path, allow := range map[string]string{"/newImage": "POST", "/image/isReady": "GET", "/image/get": "GET", "/": "GET"} {
		a := s.do(http.MethodDelete, path, nil)
		a.problem(t, 405)
		assert.Contains(t, a.Header.Get("Allow"), allow, path)
	}
	s.get("/nothing").problem(t, 404)
	s.get("/metrics").problem(t, 404)
	s.get("/config").problem(t, 404)
}

const key = "9f8b27c1d4a6e035"

// Without keys a page that a user happens to look at could fill the disk, or
// delete: a browser says whose page it is, other clients say nothing.
func TestForeignPagesChangeNothing(t *testing.T) {
	upload := func(s *suite, header ...string) answer {
		return s.do(http.MethodPost, "/newImage", strings.NewReader(string(testPNG(t))), append(header, "Content-Type", "image/png")...)
	}
	s := start(t)
	id := s.master.add(imagemaster.StateFinished, []byte("result"))
	for _, foreign := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "http://evil.example"}} {
		upload(s, foreign...).problem(t, 403)
		s.do(http.MethodDelete, "/v1/images/"+id, nil, foreign...).problem(t, 403)
		assert.Equal(t, http.StatusOK, s.get("/image/get?id="+id, foreign...).StatusCode, "an <img> is no change")
	}
	s.nothing()
	for _, own := range [][]string{{}, {"Sec-Fetch-Site", "same-origin", "Origin", "https://proxy.example"}, {"Origin", s.URL}} {
		assert.Equal(t, http.StatusAccepted, upload(s, own...).StatusCode)
	}
	s = start(t, func(c *Config) { c.APIKeys = []string{key} })
	assert.Equal(t, http.StatusAccepted, upload(s, "Sec-Fetch-Site", "cross-site", "X-API-Key", key).StatusCode, "who has a key may ask from anywhere")
}

func TestKeysAreTakenInThreeWays(t *testing.T) {
	s := start(t, func(c *Config) { c.APIKeys = []string{"another-key-of-16", key} })
	id := s.master.add(imagemaster.StateFinished, []byte("result"))
	path := "/image/get?id=" + id
	for _, ok := range []answer{
		s.get(path, "Authorization", "Bearer "+key), s.get(path, "X-API-Key", key), s.get(path + "&key=" + key),
		s.get(path, "X-API-Key", "another-key-of-16"), s.get("/image/isReady?key=" + key + "&id=" + id),
		s.do(http.MethodPost, "/newImage?width=5&key="+key, strings.NewReader(string(testPNG(t))), "Content-Type", "image/png"),
	} {
		assert.Less(t, ok.StatusCode, 300, "%s", ok.body)
	}
	<-s.master.began
	for _, wrong := range []answer{
		s.get(path), s.get(path, "Authorization", "Bearer "+key+"x"), s.get(path, "Authorization", "Basic "+key),
		s.get(path, "X-API-Key", key[1:]), s.get(path + "&key="), s.get("/image/isReady?id=nonsense"), s.post("", testPNG(t)),
		s.get(path+"&key="+key, "X-API-Key", "wrong"),
	} {
		wrong.problem(t, 401)
		assert.NotEmpty(t, wrong.Header.Get("WWW-Authenticate"))
	}
	s.nothing()
	for _, open := range []string{"/", "/openapi.yaml", "/pipeline.schema.json", "/healthz", "/readyz"} {
		assert.Equal(t, http.StatusOK, s.get(open).StatusCode, open)
	}
}

func TestRequestIDComesBack(t *testing.T) {
	s := start(t)
	assert.Equal(t, "mine-1", s.get("/image/isReady?id="+unknownID, "X-Request-Id", "mine-1").Header.Get("X-Request-Id"))
	assert.NotEqual(t, "no good", s.get("/healthz", "X-Request-Id", "no good").Header.Get("X-Request-Id"))
}

func TestPageKeepsToItsPolicy(t *testing.T) {
	a := start(t).get("/")
	assert.Contains(t, a.Header.Get("Content-Type"), "text/html")
	policy := a.Header.Get("Content-Security-Policy")
	assert.Contains(t, policy, "default-src 'none'")
	assert.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
	html := string(a.body)
	for _, never := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "src=\"http", "href=\"http", "@import", " onclick="} {
		assert.NotContains(t, html, never)
	}
	for _, id := range []string{`id="files"`, `id="recipe"`, `id="curl"`, `aria-live="polite"`, `lang="en"`} {
		assert.Contains(t, html, id)
	}
}

func TestDocumentIsServed(t *testing.T) {
	a := start(t).get("/openapi.yaml")
	assert.Equal(t, openAPIDocument, string(a.body))
}

func TestReadinessNamesWhatIsMissing(t *testing.T) {
	s := start(t)
	assert.JSONEq(t, `{"ready":true,"missing":[]}`, string(s.get("/readyz").body))
	s.get("/healthz")
}

func TestMasterThatIsAway(t *testing.T) {
	s := start(t)
	s.master.refuseWith(fault.New(fault.Unavailable, "the imagemaster cannot be reached").WithRetryAfter(time.Second))
	for _, path := range []string{"/image/isReady?id=", "/image/get?id="} {
		a := s.get(path + url.QueryEscape(unknownID))
		a.problem(t, 503)
		assert.Equal(t, "1", a.Header.Get("Retry-After"))
	}
}
