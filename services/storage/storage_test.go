package storage_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
	"imagemill/services/storage"
	"imagemill/services/storage/storagetest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func Example() {
	ctx, store := context.Background(), storage.NewMem()
	ref := storage.Ref{State: storage.InProgress, Key: "0198c0de-7000-7abc-8def-0123456789ab"}
	info, err := store.Put(ctx, ref, strings.NewReader("a photograph"), storage.PutOptions{Size: 12})
	fmt.Println(info.Size, info.SHA256[:8], err)

	obj, err := store.Get(ctx, ref, storage.Span{Offset: -5})
	if err != nil {
		return
	}
	defer obj.Body.Close()
	last, err := io.ReadAll(obj.Body)
	fmt.Printf("%s %v\n", last, err)
	// Output:
	// 12 a249e87e <nil>
	// graph <nil>
}

// serveStore puts a store behind HTTP and gives the base address.
func serveStore(t testing.TB, store storage.Store, change ...func(*storage.Config)) string {
	t.Helper()
	cfg := storage.DefaultConfig()
	for _, f := range change {
		f(&cfg)
	}
	svc, err := storage.New(cfg, storage.Deps{Log: slog.New(slog.DiscardHandler), Instance: "one", Version: "test", Store: store})
	require.NoError(t, err)
	srv := httptest.NewServer(svc.Handler())
	t.Cleanup(srv.Close)
	return srv.URL
}

// newClient gives a client with connections of its own, closed at the end.
func newClient(t testing.TB, base string) *storage.Client {
	t.Helper()
	return storage.NewClient(base, newHTTP(t))
}

func newHTTP(t testing.TB) *http.Client {
	t.Helper()
	tr := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, ExpectContinueTimeout: time.Minute}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestMem(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Store { return storage.NewMem() })
}

func TestClientOverMem(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return newClient(t, serveStore(t, storage.NewMem())) })
}
