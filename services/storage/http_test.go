package storage_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/storage/storagetest"
)

// call sends one request as it is, without the client's own checks.
func call(t *testing.T, method, url string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := newHTTP(t).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(data)
}

func TestRoutes(t *testing.T) {
	base := serveStore(t, storage.NewMem())
	blob := base + "/blobs/finished/a.jpg"
	digest := storagetest.Digest([]byte("0123456789"))

	for range 2 { // a repeat answers the same
		resp, body := call(t, "PUT", blob, strings.NewReader("0123456789"), "X-Content-Sha256", digest)
		require.Equal(t, 201, resp.StatusCode, body)
		var info storage.Info
		require.NoError(t, json.Unmarshal([]byte(body), &info))
		require.Equal(t, digest, info.SHA256)
		require.EqualValues(t, 10, info.Size)
	}
	resp, body := call(t, "GET", blob, nil)
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "0123456789", body)
	require.Equal(t, `"`+digest+`"`, resp.Header.Get("ETag"))
	require.Equal(t, "bytes", resp.Header.Get("Accept-Ranges"))
	require.Equal(t, "10", resp.Header.Get("Content-Length"))
	require.NotEmpty(t, resp.Header.Get("Last-Modified"))

	resp, body = call(t, "HEAD", blob, nil)
	require.Equal(t, 200, resp.StatusCode)
	require.Empty(t, body)
	require.EqualValues(t, 10, resp.ContentLength)
	require.Equal(t, `"`+digest+`"`, resp.Header.Get("ETag"))

	resp, body = call(t, "GET", base+"/blobs/finished", nil)
	require.Equal(t, 200, resp.StatusCode)
	require.Contains(t, body, `"key":"a.jpg"`)
	_, body = call(t, "GET", base+"/blobs/inProgress", nil)
	require.Contains(t, body, `{"blobs":[],"now":"`)

	for range 2 {
		resp, _ = call(t, "DELETE", blob, nil)
		require.Equal(t, 204, resp.StatusCode)
	}
	resp, _ = call(t, "HEAD", blob, nil)
	require.Equal(t, 404, resp.StatusCode)
	resp, _ = call(t, "POST", blob, nil)
	require.Equal(t, 405, resp.StatusCode)
	resp, body = call(t, "GET", base+"/blobs/finished?limit=x", nil)
	require.Equal(t, 400, resp.StatusCode)
	require.Contains(t, body, `"field":"limit"`)
}

func TestRanges(t *testing.T) {
	base := serveStore(t, storage.NewMem())
	blob, empty := base+"/blobs/finished/a", base+"/blobs/finished/empty"
	call(t, "PUT", blob, strings.NewReader("0123456789"))
	call(t, "PUT", empty, http.NoBody)
	etag := `"` + storagetest.Digest([]byte("0123456789")) + `"`
	for _, c := range []struct {
		url, span, ifRange string
		status             int
		contentRange, body string
	}{
		{blob, "bytes=2-4", "", 206, "bytes 2-4/10", "234"},
		{blob, "bytes=-3", "", 206, "bytes 7-9/10", "789"},
		{blob, "bytes=0-", "", 206, "bytes 0-9/10", "0123456789"},
		{blob, "bytes=8-99", "", 206, "bytes 8-9/10", "89"},
		{blob, "bytes=10-", "", 416, "bytes */10", ""},
		{blob, "bytes=-0", "", 416, "bytes */10", ""},
		{blob, "bytes=1-2,4-5", "", 200, "", "0123456789"},
		{blob, "bytes=5-2", "", 200, "", "0123456789"},
		{blob, "lines=1-2", "", 200, "", "0123456789"},
		{blob, "bytes=2-4", etag, 206, "bytes 2-4/10", "234"},
		{blob, "bytes=2-4", `"other"`, 200, "", "0123456789"},
		{empty, "bytes=-3", "", 200, "", ""},
		{empty, "bytes=0-", "", 200, "", ""}, // all of nothing
		{empty, "bytes=0-4", "", 416, "bytes */0", ""},
	} {
		header := []string{"Range", c.span}
		if c.ifRange != "" {
			header = append(header, "If-Range", c.ifRange)
		}
		resp, body := call(t, "GET", c.url, nil, header...)
		require.Equal(t, c.status, resp.StatusCode, c)
		require.Equal(t, c.contentRange, resp.Header.Get("Content-Range"), c)
		if c.status < 300 {
			require.Equal(t, c.body, body, c)
		}
	}
}

// A key that the path encodes is decoded once, and then refused as it is.
func TestHostilePaths(t *testing.T) {
	base := serveStore(t, storage.NewMem())
	for _, key := range append(storagetest.HostileKeys(), "%252e%252e") {
		if key == "" {
			continue // the route of lists, which knows no PUT
		}
		for _, path := range []string{url.PathEscape(key), strings.ReplaceAll(url.PathEscape(key), ".", "%2e")} {
			req, err := http.NewRequestWithContext(t.Context(), "PUT", base+"/blobs/finished/x", strings.NewReader("x"))
			require.NoError(t, err)
			req.URL.Opaque = "//" + req.URL.Host + "/blobs/finished/" + path
			resp, err := newHTTP(t).Do(req)
			require.NoError(t, err, "%q", path)
			require.NoError(t, resp.Body.Close())
			require.Contains(t, []int{400, 404, 405}, resp.StatusCode, "%q", path)
		}
	}
	_, body := call(t, "GET", base+"/blobs/finished", nil)
	require.Contains(t, body, `{"blobs":[],"now":"`)
}

func TestTooLarge(t *testing.T) {
	mem := storage.NewMem()
	client := newClient(t, serveStore(t, mem, func(c *storage.Config) { c.MaxBlob = 1000 }))
	ref := storage.Ref{State: storage.Finished, Key: "a"}
	for _, size := range []int64{1001, -1} {
		_, err := client.Put(t.Context(), ref, bytes.NewReader(make([]byte, 1001)), storage.PutOptions{Size: size})
		require.Equal(t, fault.TooLarge, fault.KindOf(err))
	}
	_, err := mem.Stat(t.Context(), ref)
	require.Equal(t, fault.NotFound, fault.KindOf(err))
	_, err = client.Put(t.Context(), ref, bytes.NewReader(make([]byte, 1000)), storage.PutOptions{Size: -1})
	require.NoError(t, err)
}

// An announced giant is refused without a byte of it being sent.
func TestTooLargeIsNotSent(t *testing.T) {
	client := newClient(t, serveStore(t, storage.NewMem(), func(c *storage.Config) { c.MaxBlob = 1000 }))
	touched := false
	r := readFunc(func(p []byte) (int, error) { touched = true; return len(p), nil })
	_, err := client.Put(t.Context(), storage.Ref{State: storage.Finished, Key: "a"}, r, storage.PutOptions{Size: 1 << 40})
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
	require.False(t, touched)
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// A client that hangs up, or stops sending, leaves nothing.
func TestBrokenUploads(t *testing.T) {
	mem := storage.NewMem()
	base := serveStore(t, mem, func(c *storage.Config) { c.PutGrace = 50 * time.Millisecond; c.PutRate = 1 << 20 })
	addr := strings.TrimPrefix(base, "http://")
	for _, head := range []string{"Content-Length: 1000\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"} {
		conn := dial(t, addr)
		_, err := fmt.Fprintf(conn, "PUT /blobs/finished/a HTTP/1.1\r\nHost: x\r\n%s", head)
		require.NoError(t, err)
		require.NoError(t, conn.Close())

		conn = dial(t, addr) // this one stays, silent
		_, err = fmt.Fprintf(conn, "PUT /blobs/finished/b HTTP/1.1\r\nHost: x\r\n%s", head)
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.Equal(t, 408, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}
	page, err := mem.List(t.Context(), storage.Finished, "", 0)
	require.NoError(t, err)
	require.Empty(t, page.Blobs)
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// damaged is a store whose bodies fail before their end.
type damaged struct{ *storage.Mem }

func (d damaged) Get(ctx context.Context, ref storage.Ref, span storage.Span) (storage.Object, error) {
	obj, err := d.Mem.Get(ctx, ref, span)
	if err == nil {
		obj.Body = io.NopCloser(io.MultiReader(io.LimitReader(obj.Body, obj.Length-1), readFunc(func([]byte) (int, error) {
			return 0, errors.New("bad sector")
		})))
	}
	return obj, err
}

// Damage that shows half-way is an error at the client, never a short blob.
func TestDamageOnTheWay(t *testing.T) {
	client := newClient(t, serveStore(t, damaged{storage.NewMem()}))
	for i, n := range []int{2, 5000, 2_000_000} {
		ref := storage.Ref{State: storage.InProgress, Key: fmt.Sprint(i)}
		storagetest.Put(t, client, ref.Key, storagetest.Bytes(n, 1))
		obj, err := client.Get(t.Context(), ref, storage.Whole())
		require.NoError(t, err)
		got, err := io.Copy(io.Discard, obj.Body)
		require.NoError(t, obj.Body.Close())
		require.Error(t, err)
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		require.Less(t, got, int64(n))
	}
}

func TestUnreachable(t *testing.T) {
	// No system gives this port to whoever asks for any.
	client, ref := newClient(t, "http://127.0.0.1:1"), storage.Ref{State: storage.InProgress, Key: "a"}
	_, err := client.Put(t.Context(), ref, strings.NewReader("x"), storage.PutOptions{Size: 1})
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	_, err = client.Get(t.Context(), ref, storage.Whole())
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	_, err = client.Stat(t.Context(), ref)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.Equal(t, fault.Unavailable, fault.KindOf(client.Delete(t.Context(), ref)))
	_, err = client.List(t.Context(), storage.InProgress, "", 0)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
}

func TestConfig(t *testing.T) {
	require.NoError(t, storage.DefaultConfig().Validate())
	for name, change := range map[string]func(*storage.Config){
		"DATA":      func(c *storage.Config) { c.Data = "" },
		"MAX_BLOB":  func(c *storage.Config) { c.MaxBlob = 0 },
		"MIN_FREE":  func(c *storage.Config) { c.MinFree = -1 },
		"PUT_GRACE": func(c *storage.Config) { c.PutGrace = 0 },
		"PUT_RATE":  func(c *storage.Config) { c.PutRate = 0 },
		"LISTEN":    func(c *storage.Config) { c.Serve.Listen = "nowhere" },
	} {
		cfg := storage.DefaultConfig()
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), name)
		_, err := storage.New(cfg, storage.Deps{})
		require.ErrorContains(t, err, name)
	}
	_, err := storage.New(storage.DefaultConfig(), storage.Deps{})
	require.Error(t, err)
	require.Equal(t, "1GiB", storage.DefaultConfig().MaxBlob.String())
}
