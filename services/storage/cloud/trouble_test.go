package cloud_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/storage/cloud"
	"imagemill/services/storage/s3test"
	"imagemill/services/storage/storagetest"
)

// flip turns one bit of a file around, in place: what a gateway keeps beside it
// stays as it is.
func flip(t testing.TB, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	require.NoError(t, err)
	b[0] ^= 0x10
	_, err = f.WriteAt(b[:], at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// Damage below the server is never given out as a whole blob: of small ones it is
// found at once, of large ones before the last byte.
func TestDamage(t *testing.T) {
	srv := s3test.Start(t)
	s3test.Credentials(t)
	bucket, dir := srv.Bucket(t), t.TempDir()
	for _, where := range []struct {
		store  *cloud.Store
		folder string
		suffix string
		footer int64 // from what size on there is one
	}{
		{openStore(t, srv.URL(bucket)), filepath.Join(srv.Dir, bucket), "", 5 << 20},
		{openStore(t, fileURL(dir)), dir, "+", 0},
	} {
		remote := overHTTP(t, where.store)
		path := filepath.Join(where.folder, "inProgress", "a"+where.suffix)
		for _, n := range []int64{1, 5000, 1 << 20, 1<<20 + 1, 5<<20 - 1, 5 << 20, 12_000_000} {
			for _, at := range []int64{0, n / 2, n - 1} {
				storagetest.Put(t, where.store, "a", storagetest.Bytes(int(n), 1))
				flip(t, path, at)
				for _, store := range []storage.Store{where.store, remote} {
					obj, err := store.Get(t.Context(), ref("a"), storage.Whole())
					require.Equal(t, n <= 1<<20, err != nil, "bit in %d of %d: Get", at, n)
					if err != nil {
						require.Equal(t, fault.Internal, fault.KindOf(err), err)
						_, err = store.Get(t.Context(), ref("a"), storage.Span{Offset: 0, Length: 1})
						require.Equal(t, fault.Internal, fault.KindOf(err), "a range of a small one")
						continue
					}
					got, err := io.Copy(io.Discard, obj.Body)
					require.Error(t, err, "bit in %d of %d: body", at, n)
					require.Less(t, got, n)
					require.NoError(t, obj.Body.Close())
				}
			}
			if n >= where.footer {
				for at := n; at < n+64; at += 9 {
					storagetest.Put(t, where.store, "a", storagetest.Bytes(int(n), 1))
					flip(t, path, at)
					_, err := where.store.Stat(t.Context(), ref("a"))
					require.Equal(t, fault.Internal, fault.KindOf(err), "bit in the footer")
					_, err = where.store.Get(t.Context(), ref("a"), storage.Whole())
					require.Equal(t, fault.Internal, fault.KindOf(err), "bit in the footer")
				}
			}
			storagetest.Put(t, where.store, "a", storagetest.Bytes(int(n), 2))
			require.NoError(t, os.Truncate(path, n-1))
			_, err := storagetest.Read(t, where.store, "a", storage.Whole())
			require.Error(t, err, "one byte short")
			storagetest.Put(t, where.store, "a", storagetest.Bytes(int(n), 3))
			_, err = storagetest.Read(t, where.store, "a", storage.Whole())
			require.NoError(t, err, "healed by a new Put")
		}
	}
}

// An object that others have put there is damage, not a blob without a digest.
func TestForeignObjects(t *testing.T) {
	srv := s3test.Start(t)
	s3test.Credentials(t)
	bucket := srv.Bucket(t)
	s := openStore(t, srv.URL(bucket))
	storagetest.Put(t, s, "b", nil)
	folder := filepath.Join(srv.Dir, bucket, "inProgress")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "a"), []byte("foreign"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "No Key"), []byte("foreign"), 0o600))
	_, err := s.Stat(t.Context(), ref("a"))
	require.Equal(t, fault.Internal, fault.KindOf(err))
	_, err = s.Get(t.Context(), ref("a"), storage.Whole())
	require.Equal(t, fault.Internal, fault.KindOf(err))
	page, err := s.List(t.Context(), storage.InProgress, "", 2)
	require.NoError(t, err)
	require.Len(t, page.Blobs, 2, "what cannot be a key is passed over")
	require.NoError(t, s.Delete(t.Context(), ref("a")))
}

// cutter passes connections on to a server and cuts each after so many bytes, in
// either direction, as long as there are cuts left.
type cutter struct {
	addr string
	cuts atomic.Int64
	made atomic.Int64
}

func newCutter(t testing.TB, target string, after int64) *cutter {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cutter{addr: ln.Addr().String()}
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { c.pass(ctx, conn, target, after) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = ln.Close()
		all.Wait()
	})
	return c
}

func (c *cutter) pass(ctx context.Context, from net.Conn, target string, after int64) {
	to, err := (&net.Dialer{}).DialContext(ctx, "tcp", target)
	if err != nil {
		_ = from.Close()
		return
	}
	stop := context.AfterFunc(ctx, func() { _, _ = from.Close(), to.Close() })
	defer stop()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, err := io.CopyN(way[1], way[0], after)
			if err == nil && c.cuts.Add(-1) >= 0 {
				c.made.Add(1)
			} else if err == nil {
				_, _ = io.Copy(way[1], way[0])
			}
			_, _ = from.Close(), to.Close()
		})
	}
	both.Wait()
}

// Connections that are cut cost a repeat, not a blob.
func TestCutConnections(t *testing.T) {
	srv := s3test.Start(t)
	s3test.Credentials(t)
	c := newCutter(t, srv.Addr, 2_000_000)
	s := openStore(t, s3test.URLAt(c.addr, srv.Bucket(t)))
	for i, n := range []int{4_000_000, 16_000_000} {
		data := storagetest.Bytes(n, uint64(i))
		c.cuts.Store(2)
		storagetest.Put(t, s, "a", data)
		require.EqualValues(t, 2*(2*i+1), c.made.Load(), "two cuts while it was put")
		c.cuts.Store(2)
		got, err := storagetest.Read(t, s, "a", storage.Whole())
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		require.EqualValues(t, 2*(2*i+2), c.made.Load(), "two cuts while it was read")
	}
	c.cuts.Store(1000)
	_, err := s.Put(t.Context(), ref("b"), bytes.NewReader(storagetest.Bytes(16_000_000, 1)), storage.PutOptions{Size: -1})
	require.Equal(t, fault.Unavailable, fault.KindOf(err), err)
	obj, err := s.Get(t.Context(), ref("a"), storage.Whole())
	require.NoError(t, err)
	got, err := io.Copy(io.Discard, obj.Body)
	require.Equal(t, fault.Unavailable, fault.KindOf(err), err)
	require.Less(t, got, obj.Length)
	require.NoError(t, obj.Body.Close())
}

// refusing stands before a server and answers requests itself that it is told to.
type refusing struct {
	left atomic.Int64
	code string
	seen atomic.Int64
}

// ServeHTTP answers with S3's form of an error.
func (r *refusing) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	status := map[string]int{"SlowDown": 503, "InternalError": 500, "AccessDenied": 403, "QuotaExceeded": 403, "NoSuchBucket": 404, "InvalidArgument": 400}[r.code]
	if r.left.Add(-1) < 0 {
		status = 404
	}
	r.seen.Add(1)
	_, _ = io.Copy(io.Discard, req.Body)
	w.WriteHeader(status)
	if req.Method != http.MethodHead && status != 404 || r.code == "NoSuchBucket" {
		_ = xml.NewEncoder(w).Encode(struct {
			XMLName xml.Name `xml:"Error"`
			Code    string
		}{Code: r.code})
	}
}

// What a server says has its kind, and what may pass is tried again.
func TestWhatAServerSays(t *testing.T) {
	s3test.Credentials(t)
	for code, want := range map[string]fault.Kind{
		"SlowDown": fault.Unavailable, "InternalError": fault.Unavailable, "AccessDenied": fault.Unavailable,
		"NoSuchBucket": fault.Unavailable, "QuotaExceeded": fault.StorageFull, "InvalidArgument": fault.Internal,
	} {
		r := &refusing{code: code}
		srv := httptest.NewServer(r)
		s := openStore(t, s3test.URLAt(srv.Listener.Addr().String(), "bucket"))
		r.left.Store(1 << 40)
		_, err := s.Put(t.Context(), ref("a"), strings.NewReader("x"), storage.PutOptions{Size: 1})
		require.Equal(t, want, fault.KindOf(err), "%s: %v", code, err)
		tried := r.seen.Load()
		require.Equal(t, code == "SlowDown" || code == "InternalError", tried > 2, "%s was tried %d times", code, tried)
		if want == fault.Unavailable {
			require.Positive(t, fault.As(err).RetryAfter)
			require.Contains(t, fault.As(err).Public, "try again")
			require.Equal(t, []string{"the object store s3://bucket cannot be reached"}, s.Missing())
			for _, err := range []error{
				s.Delete(t.Context(), ref("a")), second(s.Stat(t.Context(), ref("a"))), second(s.Get(t.Context(), ref("a"), storage.Whole())),
				second(s.List(t.Context(), storage.InProgress, "", 0)),
			} {
				require.Equal(t, fault.Unavailable, fault.KindOf(err), "%s: %v", code, err)
			}
		}
		srv.Close()
	}
}

func second[T any](_ T, err error) error { return err }

// A server that asks to slow down twice is asked a third time.
func TestSlowDownPasses(t *testing.T) {
	srv := s3test.Start(t)
	s3test.Credentials(t)
	var left atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if left.Add(-1) >= 0 {
			(&refusing{code: "SlowDown", left: one()}).ServeHTTP(w, r)
			return
		}
		passOn(w, r, srv.Addr)
	}))
	defer front.Close()
	s := openStore(t, s3test.URLAt(front.Listener.Addr().String(), srv.Bucket(t)))
	data := storagetest.Bytes(12_000_000, 1)
	left.Store(2)
	storagetest.Put(t, s, "a", data)
	left.Store(2)
	got, err := storagetest.Read(t, s, "a", storage.Whole())
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
}

func one() (n atomic.Int64) {
	n.Store(1)
	return
}

// passOn hands a signed request on as it is.
func passOn(w http.ResponseWriter, r *http.Request, addr string) {
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Scheme, out.URL.Host = "", "http", addr
	resp, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(out)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// A server that hangs costs the time of a call, not for ever; and the caller's own
// end is told as what it is.
func TestServerHangs(t *testing.T) {
	s3test.Credentials(t)
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(stop)
	s := openStore(t, s3test.URLAt(srv.Listener.Addr().String(), "bucket"), func(c *cloud.Config) { c.CallTimeout = 100 * time.Millisecond })
	_, err := s.Put(t.Context(), ref("a"), strings.NewReader("x"), storage.PutOptions{Size: 1})
	require.Equal(t, fault.Unavailable, fault.KindOf(err), err)
	for _, err := range []error{
		second(s.Get(t.Context(), ref("a"), storage.Whole())), second(s.Stat(t.Context(), ref("a"))),
		s.Delete(t.Context(), ref("a")), second(s.List(t.Context(), storage.InProgress, "", 0)),
	} {
		require.Equal(t, fault.Unavailable, fault.KindOf(err), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Get(ctx, ref("a"), storage.Whole())
	require.ErrorIs(t, err, context.Canceled)
}

// The bucket may come after the store, and go: readiness follows, and names it.
func TestTheBucketMayComeLater(t *testing.T) {
	srv := s3test.Start(t)
	s3test.Credentials(t)
	s := openStore(t, srv.URL("bucket-1"))
	require.Equal(t, []string{"the object store s3://bucket-1 has not been reached yet"}, s.Missing())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	missing := "the object store s3://bucket-1 cannot be reached"
	require.Eventually(t, func() bool { return strings.Join(s.Missing(), "") == missing }, time.Minute, time.Millisecond)
	for _, err := range []error{s.Delete(t.Context(), ref("a")), second(s.Stat(t.Context(), ref("a"))), second(s.Get(t.Context(), ref("a"), storage.Whole()))} {
		require.Equal(t, fault.Unavailable, fault.KindOf(err), "a missing bucket is no missing blob: %v", err)
	}
	require.Equal(t, "bucket-1", srv.Bucket(t))
	require.Eventually(t, func() bool { return s.Missing() == nil }, time.Minute, time.Millisecond)
	storagetest.Put(t, s, "a", []byte("x"))
	cancel()
	require.NoError(t, <-done)
}

// A folder that is taken away is not an empty one.
func TestAFolderTakenAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	s := openStore(t, fileURL(dir))
	storagetest.Put(t, s, "a", []byte("x"))
	require.NoError(t, os.Rename(dir, dir+"-gone"))
	_, err := s.Stat(t.Context(), ref("a"))
	require.NotEqual(t, fault.NotFound, fault.KindOf(err), err)
	require.NoError(t, os.Rename(dir+"-gone", dir))
	_, err = s.Stat(t.Context(), ref("a"))
	require.NoError(t, err)
	stray := filepath.Join(dir, "inProgress", "a+.18ea314192221868.tmp")
	require.NoError(t, os.WriteFile(stray, nil, 0o600))
	n, err := s.TidyNow(t.Context(), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = s.TidyNow(t.Context(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoFileExists(t, stray)
}

// Where the memory for uploads is taken, others wait, and are refused in the end.
func TestUploadsWaitForMemory(t *testing.T) {
	data := storagetest.Bytes(6_000_000, 1)
	for _, wait := range []time.Duration{50 * time.Millisecond, 2 * time.Minute} {
		s := openStore(t, "mem://", func(c *cloud.Config) { c.UploadMemory, c.Wait = storage.MinUploadMemory, wait })
		var gates [2]*gate
		done := make(chan error, 3)
		for i := range gates {
			gates[i] = newGate(data, 1000)
			go func() { done <- second(s.Put(t.Context(), ref("a"), gates[i], storage.PutOptions{Size: -1})) }()
			<-gates[i].reached
		}
		_, err := s.Put(t.Context(), ref("small"), strings.NewReader("x"), storage.PutOptions{Size: 1})
		require.NoError(t, err, "a small one fits beside them")
		if wait < time.Second {
			_, err = s.Put(t.Context(), ref("c"), bytes.NewReader(data), storage.PutOptions{Size: -1})
			require.Equal(t, fault.Overloaded, fault.KindOf(err), err)
			require.Positive(t, fault.As(err).RetryAfter)
		} else { // it goes away before the time is over
			ctx, cancel := context.WithCancel(t.Context())
			go func() { done <- second(s.Put(ctx, ref("c"), bytes.NewReader(data), storage.PutOptions{Size: -1})) }()
			cancel()
			require.ErrorIs(t, <-done, context.Canceled, "it waited")
		}
		for _, g := range gates {
			close(g.open)
		}
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		storagetest.Put(t, s, "c", data)
	}
}

func TestOpenRefuses(t *testing.T) {
	s3test.Credentials(t)
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	log := slog.New(slog.DiscardHandler)
	good := cloud.Config{URL: "mem://", CallTimeout: time.Second, UploadMemory: 64 << 20}
	for what, change := range map[string]func(*cloud.Config, *cloud.Deps){
		"no log":    func(_ *cloud.Config, d *cloud.Deps) { d.Log = nil },
		"no time":   func(c *cloud.Config, _ *cloud.Deps) { c.CallTimeout = 0 },
		"no memory": func(c *cloud.Config, _ *cloud.Deps) { c.UploadMemory = 1 },
		"no URL":    func(c *cloud.Config, _ *cloud.Deps) { c.URL = "" },
		"no region": func(c *cloud.Config, _ *cloud.Deps) { c.URL = "s3://bucket" },
		"no truth":  func(c *cloud.Config, _ *cloud.Deps) { c.URL = "s3://bucket?region=x&use_path_style=perhaps" },
	} {
		cfg, deps := good, cloud.Deps{Log: log}
		change(&cfg, &deps)
		_, err := cloud.Open(t.Context(), cfg, deps)
		require.Error(t, err, what)
	}
}
