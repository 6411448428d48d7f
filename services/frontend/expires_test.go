package frontend

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExpires(t *testing.T) {
	s := start(t)
	assert.Equal(t, http.StatusAccepted, s.post("?expires=36h&width=5", testPNG(t)).StatusCode)
	img, _, _ := s.master.only()
	assert.Equal(t, 36*time.Hour, img.upload.Keep)

	s = start(t)
	when := time.Now().Add(time.Hour).Truncate(time.Second).In(time.FixedZone("there", -3600))
	body, contentType := form(t, "expires", when.Format(time.RFC3339), "image", string(testPNG(t)))
	a := s.do(http.MethodPost, "/newImage", body, "Content-Type", contentType)
	require.Equal(t, http.StatusAccepted, a.StatusCode, "%s", a.body)
	img, _, _ = s.master.only()
	assert.True(t, when.Equal(img.upload.Expires))
	var st struct{ Expires time.Time }
	require.NoError(t, json.Unmarshal(s.get("/image/isReady?id="+img.status.ID).body, &st))
	assert.True(t, when.Equal(st.Expires), "%s", st.Expires)

	s = start(t)
	for _, v := range []string{
		"", "soon", "0s", "-1h", "999ms", "87601h", "3600",
		time.Now().Add(-time.Minute).Format(time.RFC3339), time.Now().AddDate(11, 0, 0).Format(time.RFC3339), "1h&expires=2h",
	} {
		p := s.post("?expires="+v, testPNG(t)).problem(t, 400)
		assert.Equal(t, "expires", p.Field, v)
	}
	s.post("?expires="+url.QueryEscape("1 h"), testPNG(t)).problem(t, 400)
	s.nothing()
}
