package client_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/client"
)

func TestDeleteIsRepeated(t *testing.T) {
	s, c := serve(t, hangUp, busy(503), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	require.NoError(t, c.Delete(t.Context(), id))
	require.Len(t, s.requests(), 3)
	for _, a := range s.requests() {
		require.Equal(t, []string{http.MethodDelete, "/v1/images/" + id, "Bearer 0123456789abcdef"}, []string{a.method, a.path, a.auth})
	}
}

func TestDeleteSaysWhatIsWrong(t *testing.T) {
	_, c := serve(t, answer(http.StatusBadRequest, map[string]any{"detail": "is no image ID", "field": "id"}))
	err := c.Delete(t.Context(), "../x")
	require.True(t, client.IsStatus(err, http.StatusBadRequest), "%v", err)
	require.ErrorContains(t, err, "id: is no image ID")
}
