package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// repeatsAndEnds sends an upload twice under one key, and has images deleted, before
// and after they are finished.
func repeatsAndEnds(t *testing.T, c *Client) {
	send := func(key, query string) Answer {
		return c.Must(t, http.MethodPost, "/newImage"+query, Halves(t, 32, 32), "Idempotency-Key", key)
	}
	key := time.Now().String() // the topology may be one that others have used
	first := send(key, "?format=png")
	require.Equal(t, http.StatusAccepted, first.Status, "body: %s", first.Body)
	id := first.Text(t, "id")
	c.Finished(t, id)
	require.Equal(t, id, send(key, "?format=png").Text(t, "id"))
	other := send(key, "?format=jpeg")
	require.Equal(t, http.StatusUnprocessableEntity, other.Status, "body: %s", other.Body)
	requireProblem(t, other)

	gone := func(id string) bool {
		download := c.Must(t, http.MethodGet, "/image/get?id="+id, nil)
		return c.Must(t, http.MethodGet, "/image/isReady?id="+id, nil).Status == http.StatusNotFound && download.Status == http.StatusNotFound
	}
	early := c.Upload(t, Halves(t, 32, 32), "")
	for _, image := range []string{id, early, id} {
		require.Equal(t, http.StatusNoContent, c.Must(t, http.MethodDelete, "/v1/images/"+image, nil).Status)
		require.True(t, gone(image))
	}
	again := send(key, "?format=jpeg")
	require.Equal(t, http.StatusAccepted, again.Status, "the key went with its image")
	c.Finished(t, again.Text(t, "id"))

	brief := c.Upload(t, Halves(t, 32, 32), "?expires=1h")
	require.NotEmpty(t, c.Finished(t, brief).Text(t, "expires"))
}
