package disk_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/internal/leaktest"
	"imagemill/services/storage"
	"imagemill/services/storage/disk"
	"imagemill/services/storage/storagetest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childDir) != "" {
		if err := putForever(os.Getenv(childDir)); err != nil {
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
	store, err := disk.Open(disk.Config{Dir: dir, MinFree: 1 << 20}, disk.Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return
	}
	ref := storage.Ref{State: storage.Finished, Key: "0198c0de-7000-7abc-8def-0123456789ab"}
	_, err = store.Put(context.Background(), ref, strings.NewReader("pixels"), storage.PutOptions{Size: 6})
	fmt.Println(err)
	files, _ := filepath.Glob(filepath.Join(dir, "finished", "*", "*"))
	rel, _ := filepath.Rel(dir, files[0])
	fmt.Println(filepath.ToSlash(rel))
	// Output:
	// <nil>
	// finished/0198c0d/0198c0de-7000-7abc-8def-0123456789ab
}

func openStore(t testing.TB, dir string) *disk.Store {
	t.Helper()
	s, err := disk.Open(disk.Config{Dir: dir}, disk.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return s
}

func TestDisk(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return openStore(t, t.TempDir()) })
}

func TestClientOverDisk(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return overHTTP(t, openStore(t, t.TempDir())) })
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

func TestOpenRefuses(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for _, c := range []struct {
		cfg  disk.Config
		deps disk.Deps
	}{{disk.Config{}, disk.Deps{Log: log}}, {disk.Config{Dir: "x", MinFree: -1}, disk.Deps{Log: log}}, {disk.Config{Dir: "x"}, disk.Deps{}}} {
		_, err := disk.Open(c.cfg, c.deps)
		require.Error(t, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := disk.Open(disk.Config{Dir: filepath.Join(file, "x")}, disk.Deps{Log: log})
	require.Error(t, err, "below a file")
}

func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "down")
	s := openStore(t, dir)
	info := storagetest.Put(t, s, "a", []byte("kept"))
	storagetest.Put(t, s, "gone-12345", []byte("x"))
	require.NoError(t, s.Delete(t.Context(), storage.Ref{State: storage.InProgress, Key: "gone-12345"}))
	left := filepath.Join(dir, "tmp", "left-by-a-crash")
	require.NoError(t, os.WriteFile(left, []byte("half"), 0o600))

	s = openStore(t, dir)
	require.NoFileExists(t, left)
	require.NoDirExists(t, filepath.Join(dir, "inProgress", "gone-12"), "emptied by the Delete")
	got, err := s.Stat(t.Context(), storage.Ref{State: storage.InProgress, Key: "a"})
	require.NoError(t, err)
	require.Equal(t, info, got)
}

// A folder that somebody removes under a running store is made again.
func TestFolderRemoved(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	storagetest.Put(t, s, "a", []byte("1"))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "inProgress", "a")))
	storagetest.Put(t, s, "a", []byte("2"))
	got, err := storagetest.Read(t, s, "a", storage.Whole())
	require.NoError(t, err)
	require.Equal(t, "2", string(got))
}

// Files that are no blobs are not listed, wherever they lie.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	storagetest.Put(t, s, "abc", []byte("1"))
	for _, name := range []string{"stray", "abc/UPPER", "abc/.hidden", "abc/other"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "inProgress", filepath.FromSlash(name)), nil, 0o600))
	}
	page, err := s.List(t.Context(), storage.InProgress, "", 0)
	require.NoError(t, err)
	require.Len(t, page.Blobs, 1)
}

// A folder with more names than are read at once is paged in order.
func TestListLargeFolder(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	const n = 5000
	folder := filepath.Join(dir, "finished", "0123456")
	require.NoError(t, os.Mkdir(folder, 0o750))
	for i := range n {
		require.NoError(t, os.WriteFile(filepath.Join(folder, fmt.Sprintf("0123456-%05d", i*7919%n)), nil, 0o600))
	}
	next, after := 0, ""
	for {
		page, err := s.List(t.Context(), storage.Finished, after, 300)
		require.NoError(t, err)
		for _, b := range page.Blobs {
			require.Equal(t, fmt.Sprintf("0123456-%05d", next), b.Key)
			next++
		}
		if after = page.Next; after == "" {
			break
		}
	}
	require.Equal(t, n, next)
}

func TestNoDescriptorIsLost(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts /proc/self/fd")
	}
	s, ctx := openStore(t, t.TempDir()), t.Context()
	ref := storage.Ref{State: storage.InProgress, Key: "a"}
	for _, n := range []int{10, 500_000, 2_000_000} {
		storagetest.Put(t, s, "a", storagetest.Bytes(n, 1))
		before := descriptors(t)
		for range 50 {
			for _, span := range []storage.Span{storage.Whole(), {Offset: -5}, {Offset: int64(n), Length: 1}} {
				obj, err := s.Get(ctx, ref, span)
				if err != nil {
					require.Equal(t, fault.Range, fault.KindOf(err))
					continue
				}
				require.NoError(t, obj.Body.Close())
				require.NoError(t, obj.Body.Close(), "twice")
			}
			_, err := s.Stat(ctx, ref)
			require.NoError(t, err)
			_, err = s.Put(ctx, ref, bytes.NewReader(nil), storage.PutOptions{Size: 5})
			require.Error(t, err)
			_, err = s.List(ctx, storage.InProgress, "", 0)
			require.NoError(t, err)
		}
		// Fewer may be open: the collector closes the folders of other tests' stores.
		require.LessOrEqual(t, descriptors(t), before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(d)
}
