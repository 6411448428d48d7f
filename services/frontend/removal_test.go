package frontend

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
)

func TestDelete(t *testing.T) {
	s := start(t)
	kept := s.master.add(imagemaster.StateFinished, []byte("kept"))
	for _, state := range []string{
		imagemaster.StateInProgress, imagemaster.StateFinished, imagemaster.StateFailed, imagemaster.StateCancelled,
	} {
		id := s.master.add(state, []byte("result"))
		for range 2 { // a repeat gets the same answer
			a := s.do(http.MethodDelete, "/v1/images/"+id, nil)
			require.Equal(t, http.StatusNoContent, a.StatusCode, "%s", a.body)
			assert.Empty(t, a.body)
		}
		assert.Equal(t, "not found", s.get("/image/isReady?id="+id).problem(t, 404).State)
	}
	assert.Equal(t, http.StatusOK, s.get("/image/get?id="+kept).StatusCode)
	assert.Equal(t, http.StatusNoContent, s.do(http.MethodDelete, "/v1/images/"+unknownID, nil).StatusCode)
	assert.Equal(t, "id", s.do(http.MethodDelete, "/v1/images/nonsense", nil).problem(t, 400).Field)
	assert.Equal(t, "force", s.do(http.MethodDelete, "/v1/images/"+kept+"?force=1", nil).problem(t, 400).Field)
	s.master.refuseWith(fault.New(fault.Unavailable, "no imagemaster is there").WithRetryAfter(time.Second))
	s.do(http.MethodDelete, "/v1/images/"+kept, nil).problem(t, 503)
}

func TestDeleteNeedsAKey(t *testing.T) {
	s := start(t, func(c *Config) { c.APIKeys = []string{"a-key-of-sixteen-characters"} })
	id := s.send("", testPNG(t), "X-API-Key", "a-key-of-sixteen-characters").id(t)
	others := s.master.add(imagemaster.StateFinished, []byte("kept"))
	s.do(http.MethodDelete, "/v1/images/"+id, nil).problem(t, 401)
	assert.Equal(t, http.StatusNoContent,
		s.do(http.MethodDelete, "/v1/images/"+id, nil, "X-API-Key", "a-key-of-sixteen-characters").StatusCode)
	_, _, err := s.master.find(id)
	assert.True(t, fault.Is(err, fault.NotFound), "%v", err)
	assert.Equal(t, http.StatusNoContent,
		s.do(http.MethodDelete, "/v1/images/"+others, nil, "X-API-Key", "a-key-of-sixteen-characters").StatusCode)
	_, _, err = s.master.find(others)
	assert.NoError(t, err, "another one's image is left alone")
}
