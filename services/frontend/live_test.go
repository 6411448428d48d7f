package frontend

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/shared"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/settings"
	"imagemill/services/imagemaster"
)

// startLive is a frontend and what changes its shared settings, given as name,
// value, …, all others being unset.
func startLive(t *testing.T, change ...func(*Config)) (*suite, func(...string)) {
	set := settings.New(settings.Config{Known: shared.Catalogue()})
	s := startWith(t, set, change...)
	return s, func(pairs ...string) {
		doc := discovery.Document{}
		for i := 0; i < len(pairs); i += 2 {
			doc[pairs[i]] = discovery.Entry{Value: pairs[i+1], Version: uint64(i), Writer: "ada@host"}
		}
		set.Apply(doc)
	}
}

func TestPresetsAreShared(t *testing.T) {
	s, share := startLive(t)
	const wide, narrow = `{"renditions":[{"operations":[{"op":"resize","width":77}]}]}`, `{"renditions":[{"operations":[{"op":"resize","width":33}]}]}`
	assert.Contains(t, s.post("?preset=mine", testPNG(t)).problem(t, 400).Detail, "default, large, medium, small, thumbnail")
	made := func(preset string) string {
		a := s.post("?preset="+preset, testPNG(t))
		require.Equal(t, http.StatusAccepted, a.StatusCode, "%s", a.body)
		s.master.mu.Lock()
		defer s.master.mu.Unlock()
		for id, img := range s.master.images {
			delete(s.master.images, id)
			return string(img.upload.Pipeline)
		}
		return ""
	}
	share("presets/mine", wide, "presets/small", narrow)
	assert.Contains(t, made("mine"), `"width":77`)
	assert.Contains(t, made("small"), `"width":33`, "a shared one wins over one built in")
	assert.Contains(t, made("thumbnail"), `"width":256`)
	share("presets/mine", `{"renditions":[{"operations":[{"op":"explode"}]}]}`)
	assert.Contains(t, made("mine"), `"width":77`, "a bad one leaves the last good one")
	assert.Contains(t, made("small"), `"width":640`)
	share()
	s.post("?preset=mine", testPNG(t)).problem(t, 400)
}

func TestLimitsAreShared(t *testing.T) {
	s, share := startLive(t, func(c *Config) { c.Side = 8 })
	accepted := func() { require.Equal(t, http.StatusAccepted, s.post("", testPNG(t)).StatusCode) }
	accepted()
	share("frontend/max-body", "20")
	assert.Contains(t, s.post("", testPNG(t)).problem(t, 413).Detail, "20")
	share("frontend/side", "7")
	assert.Contains(t, s.post("", testPNG(t)).problem(t, 413).Detail, "7 a side")
	share("frontend/input-pixels", "47")
	assert.Contains(t, s.post("", testPNG(t)).problem(t, 413).Detail, "47 pixels")
	share("frontend/side", "0")
	accepted()
	share("frontend/max-uploads", "1")
	h := s.dial()
	for range len(s.master.began) {
		<-s.master.began
	}
	h.write("POST /newImage HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\n" + string(padded(t, 40_000)))
	<-s.master.began
	assert.Contains(t, s.post("", testPNG(t)).problem(t, 503).Detail, "1 uploads are under way")
	share("frontend/max-uploads", "2")
	accepted()
	share("frontend/max-uploads", "1")
	s.post("", testPNG(t)).problem(t, 503)
	h.close()
	assert.Eventually(t, func() bool { return s.post("", testPNG(t)).StatusCode == http.StatusAccepted },
		time.Minute, time.Millisecond, "places are given back")
}

func TestMaintenanceKeepsNewUploadsOut(t *testing.T) {
	s, share := startLive(t)
	id := s.master.add(imagemaster.StateFinished, []byte("result"))
	h := s.dial()
	h.write("POST /newImage HTTP/1.1\r\nHost: h\r\nContent-Length: 40000\r\n\r\n" + string(padded(t, 35_000)))
	<-s.master.began

	share("maintenance/mode", "on")
	a := s.post("", testPNG(t))
	p := a.problem(t, 503)
	assert.Equal(t, "30", a.Header.Get("Retry-After"))
	assert.Equal(t, "maintenance", p.State)
	assert.Contains(t, p.Detail, "maintenance")
	share("maintenance/mode", "on", "maintenance/message", "Back at ten.", "maintenance/retry-after", "5m")
	a = s.post("", testPNG(t))
	assert.Equal(t, "Back at ten.", a.problem(t, 503).Detail)
	assert.Equal(t, "300", a.Header.Get("Retry-After"))

	assert.Equal(t, http.StatusOK, s.get("/image/isReady?id="+id).StatusCode)
	assert.Equal(t, "result", string(s.get("/image/get?id="+id).body))
	assert.Equal(t, http.StatusOK, s.get("/readyz").StatusCode, "it stays ready: what is there is served")
	assert.Len(t, s.service.notices(), 1)

	h.write(string(make([]byte, 5000)))
	assert.Equal(t, http.StatusAccepted, h.answer().StatusCode, "an upload that was under way ends well")
	share("maintenance/mode", "maybe")
	s.post("", testPNG(t)).problem(t, 503)
	share()
	assert.Equal(t, http.StatusAccepted, s.post("", testPNG(t)).StatusCode)
	assert.Empty(t, s.service.notices())
}

// What is in effect, and where it comes from, stands on the internal listener.
func TestConfigShowsSharedSettings(t *testing.T) {
	set := settings.New(settings.Config{})
	cfg := DefaultConfig()
	cfg.Internal, cfg.Side = "127.0.0.1:0", 5
	s, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler), Instance: "f1", Master: newMemMaster(), Settings: set})
	require.NoError(t, err)
	set.Apply(discovery.Document{
		"frontend/side":     {Value: "9", Version: 3, Writer: "ada@host"},
		"frontend/max-body": {Value: "lots", Version: 4},
	})
	rec := httptest.NewRecorder()
	s.internal.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/config", nil))
	require.Equal(t, http.StatusOK, rec.Code)
	for _, part := range []string{
		`"SIDE":"5"`, `"frontend/side":{"value":"9","from":"shared setting","configured":"5","version":3,"writer":"ada@host"}`,
		`"frontend/max-body":{"value":"64MiB","from":"configuration","configured":"64MiB","refused":{"value":"lots"`,
	} {
		assert.Contains(t, rec.Body.String(), part)
	}
}
