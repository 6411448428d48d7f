package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
	"imagemill/services/storage/s3test"
)

// The scenarios pass with the blobs in a bucket, which comes after the storage
// that uses it, and with two storage processes on it, one of which is killed while
// pictures are made. Nothing lies in the folder that disks would use.
func TestObjectStore(t *testing.T) {
	srv := s3test.Start(t)
	env := append(s3test.Environ(), "IMAGEMILL_STORAGE_URL="+srv.URL("bucket-1")+"&prefix=pictures")
	p := calmSuite(t, append(env, "IMAGEMILL_DISCOVERY_TTL=6s", "IMAGEMILL_TASKDB_MAX_TRIES=20")...)
	p.StartAll(2)
	p.Start("storage", "storage-2")
	p.Eventually("both storages are announced", func() bool { return len(p.Addresses("storage")) == 2 })
	for _, url := range p.Addresses("storage") {
		p.Eventually("there is no bucket yet", func() bool { return p.Status(url+"/readyz") == http.StatusServiceUnavailable })
	}
	require.Equal(t, "bucket-1", srv.Bucket(t))
	for _, url := range p.Addresses("storage") {
		p.Eventually("the bucket is found", func() bool { return p.Status(url+"/readyz") == http.StatusOK })
	}
	e2e.Run(t, p)

	c := e2e.NewClient(p)
	defer c.Close()
	photo := e2e.Photograph(t, "branches.jpg")
	var ids []string
	for i := range 12 {
		if i == 6 {
			p.Kill("storage-2")
			p.Eventually("who died is gone", func() bool { return len(p.Addresses("storage")) == 1 })
		}
		ids = append(ids, c.Upload(t, photo, fmt.Sprintf("?width=%d", 100+i)))
	}
	for _, id := range ids {
		c.Finished(t, id)
		require.NotEmpty(t, c.Download(t, id, "").Body)
	}
	stored, err := filepath.Glob(filepath.Join(srv.Dir, "bucket-1", "pictures", "finished", "*"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(stored), len(ids))
	_, err = os.Stat(p.Data("storage"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
