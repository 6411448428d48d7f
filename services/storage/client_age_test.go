package storage_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/services/storage"
)

// A storage of an earlier version does not say its time in a list; its answer's
// date does.
func TestTheTimeOfAnOlderStorageIsItsAnswersDate(t *testing.T) {
	date := "Tue, 01 Jan 2030 10:00:00 GMT"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", date)
		_, _ = w.Write([]byte(`{"blobs":[]}`))
	}))
	defer srv.Close()
	page, err := storage.NewClient(srv.URL, newHTTP(t)).List(t.Context(), storage.Finished, "", 0)
	require.NoError(t, err)
	require.Equal(t, time.Date(2030, 1, 1, 10, 0, 0, 0, time.UTC), page.Now.UTC())
}
