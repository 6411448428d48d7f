package frontend

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/services/imagemaster"
	"imagemill/services/taskdb"
)

func TestUploadsSayHowTheirWorkWaits(t *testing.T) {
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for query, want := range map[string]imagemaster.Upload{
		"":                                      {},
		"?lane=interactive":                     {},
		"?lane=batch&width=4":                   {Lane: taskdb.Batch},
		"?delay=90m":                            {Delay: 90 * time.Minute},
		"?notBefore=" + at.Format(time.RFC3339): {NotBefore: at},
		"?notBefore=" + url.QueryEscape(at.In(time.FixedZone("", 7200)).Format(time.RFC3339)) + "&lane=batch": {NotBefore: at, Lane: taskdb.Batch},
	} {
		s := start(t)
		require.Equal(t, http.StatusAccepted, s.post(query, testPNG(t)).StatusCode, query)
		img, _, n := s.master.only()
		require.Equal(t, 1, n)
		assert.Equal(t, want.Lane, img.upload.Lane, query)
		assert.Equal(t, want.Delay, img.upload.Delay, query)
		assert.True(t, want.NotBefore.Equal(img.upload.NotBefore), query)
		assert.Empty(t, img.upload.Owner, "without keys nobody owns")
	}
	for query, field := range map[string]string{
		"?lane=fast": "lane", "?lane=batch&lane=batch": "lane", "?delay=-1s": "delay", "?delay=soon": "delay", "?delay=9000h": "delay",
		"?notBefore=tomorrow": "notBefore", "?notBefore=2999-01-01T00:00:00Z": "notBefore",
		"?delay=1s&notBefore=" + at.Format(time.RFC3339): "delay",
	} {
		s := start(t)
		assert.Equal(t, field, s.post(query, testPNG(t)).problem(t, 400).Field, query)
		s.nothing()
	}
}

func TestFormsSayHowTheirWorkWaits(t *testing.T) {
	s := start(t)
	b, contentType := form(t, "lane", "batch", "delay", "1h", "image", string(testPNG(t)))
	require.Equal(t, http.StatusAccepted, s.do("POST", "/newImage", b, "Content-Type", contentType).StatusCode)
	img, _, _ := s.master.only()
	assert.Equal(t, taskdb.Batch, img.upload.Lane)
	assert.Equal(t, time.Hour, img.upload.Delay)
}

func TestAnUploadSaysWhetherItsWorkMayBeSpared(t *testing.T) {
	for _, operator := range []bool{false, true} {
		for query, want := range map[string]bool{
			"": operator, "?dedupe": true, "?dedupe=1": true, "?dedupe=true&width=4": true, "?dedupe=0": false, "?dedupe=false": false,
		} {
			s := start(t, func(c *Config) { c.Dedupe = operator })
			require.Equal(t, http.StatusAccepted, s.post(query, testPNG(t)).StatusCode, query)
			img, _, _ := s.master.only()
			assert.Equal(t, want, img.upload.Dedupe, "%q where the operator says %v", query, operator)
		}
	}
	for _, query := range []string{"?dedupe=yes", "?dedupe=true&dedupe=true"} {
		s := start(t)
		assert.Equal(t, "dedupe", s.post(query, testPNG(t)).problem(t, 400).Field, query)
		s.nothing()
	}
}

func TestAScheduledImageIsToldAsSuch(t *testing.T) {
	s := start(t)
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	var acc, st map[string]any
	require.NoError(t, json.Unmarshal(s.post("?lane=batch&notBefore="+at.Format(time.RFC3339), testPNG(t)).body, &acc))
	require.NoError(t, json.Unmarshal(s.get(acc["statusUrl"].(string)).body, &st))
	assert.Equal(t, "in progress", st["state"])
	assert.Equal(t, "batch", st["lane"])
	assert.Equal(t, at.Format(time.RFC3339), st["notBefore"])
}

func TestOwnersLookAfterTheirImages(t *testing.T) {
	const mine, others = "0123456789abcdef-mine", "0123456789abcdef-others"
	s := start(t, func(c *Config) { c.APIKeys = []string{mine, others} })
	call := func(key, method, path string, status int) (got map[string]any) {
		a := s.do(method, path, nil, "X-API-Key", key)
		require.Equal(t, status, a.StatusCode, "%s %s: %s", method, path, a.body)
		require.NoError(t, json.Unmarshal(a.body, &got))
		return got
	}
	var ids []string
	for range 3 {
		a := s.do("POST", "/newImage?key="+mine, bytes.NewReader(testPNG(t)), "Content-Type", "application/octet-stream")
		var acc map[string]any
		require.NoError(t, json.Unmarshal(a.body, &acc))
		ids = append(ids, acc["id"].(string))
		s.master.end(ids[len(ids)-1], imagemaster.StateFailed, nil)
	}
	img, _, _ := s.master.only()
	require.Regexp(t, "^[0-9a-f]{16}$", img.upload.Owner)

	require.Len(t, call(mine, "GET", "/v1/images?state=failed", 200)["images"], 3)
	page := call(mine, "GET", "/v1/images?state=failed&limit=2", 200)
	require.Len(t, page["images"], 2)
	require.Len(t, call(mine, "GET", "/v1/images?state=failed&after="+page["next"].(string), 200)["images"], 1)
	require.Empty(t, call(others, "GET", "/v1/images?state=failed", 200)["images"])
	require.Equal(t, "state", call(mine, "GET", "/v1/images?state=asleep", 400)["field"])
	require.Equal(t, "limit", call(mine, "GET", "/v1/images?state=failed&limit=1001", 400)["field"])
	require.Equal(t, "colour", call(mine, "GET", "/v1/images?state=failed&colour=1", 400)["field"])

	path := "/v1/images/" + ids[0]
	call(others, "POST", path+"/retry", 404)
	call(others, "POST", path+"/cancel", 404)
	require.Equal(t, "failed", call(mine, "POST", path+"/cancel", 409)["state"])
	require.Equal(t, "in progress", call(mine, "POST", path+"/retry", 200)["state"])
	require.Equal(t, "cancelled", call(mine, "POST", path+"/cancel", 200)["state"])
	require.Equal(t, "cancelled", call(mine, "GET", "/image/isReady?id="+ids[0], 200)["state"])
	require.Len(t, call(mine, "GET", "/v1/images?state=cancelled", 200)["images"], 1)
	call(mine, "POST", "/v1/images/nonsense/retry", 400)
	require.Equal(t, "colour", call(mine, "POST", path+"/retry?colour=1", 400)["field"])

	require.EqualValues(t, 0, call(others, "POST", "/v1/images/retry?state=failed", 200)["retried"])
	require.Equal(t, "state", call(mine, "POST", "/v1/images/retry", 400)["field"])
	r := call(mine, "POST", "/v1/images/retry?state=failed&limit=1", 200)
	require.EqualValues(t, 1, r["retried"])
	require.EqualValues(t, 1, call(mine, "POST", "/v1/images/retry?state=failed&after="+r["next"].(string), 200)["retried"])
	for _, path := range []string{"/v1/images/retry?state=failed", path + "/retry", path + "/cancel"} {
		s.do("POST", path, nil).problem(t, 401)
	}
	s.get("/v1/images?state=failed").problem(t, 401)
}
