package cloud_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
	"imagemill/services/storage"
	"imagemill/services/storage/cloud"
	"imagemill/services/storage/s3test"
	"imagemill/services/storage/storagetest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childURL) != "" {
		if err := putMany(os.Getenv(childURL)); err != nil {
			panic(err)
		}
		return
	}
	leaktest.Main(m)
}

func Example() {
	dir, err := os.MkdirTemp("", "blobs")
	if err != nil {
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	store, err := cloud.Open(ctx, cloud.Config{
		URL: "file://" + filepath.ToSlash(dir), CallTimeout: time.Minute, UploadMemory: 64 << 20,
	}, cloud.Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return
	}
	defer store.Close()
	ref := storage.Ref{State: storage.Finished, Key: "0198c0de-7000-7abc-8def-0123456789ab"}
	_, err = store.Put(ctx, ref, strings.NewReader("pixels"), storage.PutOptions{Size: 6})
	fmt.Println(err)
	files, _ := filepath.Glob(filepath.Join(dir, "finished", "*"))
	fmt.Println(filepath.Base(files[0]))
	// Output:
	// <nil>
	// 0198c0de-7000-7abc-8def-0123456789ab+
}

// openStore opens a store with settings for tests, and closes it at the end.
func openStore(t testing.TB, url string, change ...func(*cloud.Config)) *cloud.Store {
	t.Helper()
	cfg := cloud.Config{
		URL: url, CallTimeout: 2 * time.Minute, UploadMemory: 64 << 20, ProbeEvery: 10 * time.Millisecond,
		Wait: 2 * time.Minute, Pause: 20 * time.Millisecond,
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := cloud.Open(t.Context(), cfg, cloud.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// openS3 gives a store on a server with a bucket of its own.
func openS3(t testing.TB, change ...func(*cloud.Config)) (*cloud.Store, *s3test.Server) {
	t.Helper()
	srv := s3test.Start(t)
	s3test.Credentials(t)
	return openStore(t, srv.URL(srv.Bucket(t)), change...), srv
}

func fileURL(dir string) string {
	return "file://" + filepath.ToSlash("/"+strings.TrimPrefix(dir, "/"))
}

func TestMemory(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return openStore(t, "mem://") })
}

func TestFolder(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return openStore(t, fileURL(t.TempDir())) })
}

func TestS3(t *testing.T) {
	srv := s3test.Start(t)
	s3test.Credentials(t)
	storagetest.Run(t, func(t *testing.T) storage.Store { return openStore(t, srv.URL(srv.Bucket(t))) })
}

// Two stores share one bucket below prefixes, and do not see each other.
func TestClientOverS3BelowAPrefix(t *testing.T) {
	srv := s3test.Start(t)
	s3test.Credentials(t)
	storagetest.Run(t, func(t *testing.T) storage.Store {
		url := srv.URL(srv.Bucket(t))
		storagetest.Put(t, openStore(t, url+"&prefix=ab"), "a", []byte("another's"))
		return overHTTP(t, openStore(t, url+"&prefix=a/b"))
	})
}

// overHTTP gives a client of a service over the store.
func overHTTP(t testing.TB, s storage.Store) storage.Store {
	t.Helper()
	svc, err := storage.New(storage.DefaultConfig(), storage.Deps{Log: slog.New(slog.DiscardHandler), Instance: "one", Store: s})
	require.NoError(t, err)
	srv := httptest.NewServer(svc.Handler())
	t.Cleanup(srv.Close)
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(tr.CloseIdleConnections)
	return storage.NewClient(srv.URL, &http.Client{Transport: tr})
}
