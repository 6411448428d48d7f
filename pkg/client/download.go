package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Downloaded tells what a download was.
type Downloaded struct {
	ContentType string
	// Size in bytes.
	Size int64
	// SHA256 in lower-case hexadecimal.
	SHA256 string
}

// Download writes a rendition to w, the first of the pipeline for the name "".
//
// A connection that breaks midway is taken up again where it broke, so w gets
// every byte once. Without an error, w has got all of the picture and its
// digest is right; with one, w may hold a part. [ErrDamaged] says that length or
// digest differ. An image in progress is an [*Error] with status 409, a failed
// one with 422, an unknown one with 404. Errors of w come back wrapped.
func (c *Client) Download(ctx context.Context, id, rendition string, w io.Writer) (Downloaded, error) {
	d := &download{w: w, hash: sha256.New(), size: -1}
	q := url.Values{"id": {id}}
	if rendition != "" {
		q.Set("rendition", rendition)
	}
	err := c.repeat(ctx, func() error {
		req, err := c.request(ctx, http.MethodGet, "/image/get", q)
		if err != nil {
			return err
		}
		return c.part(req, d)
	})
	if err == nil {
		err = d.check()
	}
	if err != nil {
		return Downloaded{}, fmt.Errorf("download %s: %w", id, err)
	}
	return Downloaded{ContentType: d.contentType, Size: d.size, SHA256: strings.Trim(d.etag, `"`)}, nil
}

// download is how far one has come.
type download struct {
	w           io.Writer
	hash        hash.Hash
	n, size     int64 // written, and in all; -1 for not known yet
	etag        string
	contentType string
}

// part asks for what is missing and takes in as much as comes.
func (c *Client) part(req *http.Request, d *download) error {
	status := http.StatusOK
	if d.n > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(d.n, 10)+"-")
		req.Header.Set("If-Range", d.etag)
		status = http.StatusPartialContent
	}
	resp, err := c.send(req, http.StatusOK, http.StatusPartialContent)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != status || d.n > 0 && resp.Header.Get("ETag") != d.etag {
		return fmt.Errorf("%w: it cannot be continued after %d bytes", ErrDamaged, d.n)
	}
	if d.n == 0 {
		d.etag, d.size, d.contentType = resp.Header.Get("ETag"), resp.ContentLength, resp.Header.Get("Content-Type")
	} else if want := fmt.Sprintf("bytes %d-%d/%d", d.n, d.size-1, d.size); resp.Header.Get("Content-Range") != want {
		return fmt.Errorf("%w: the server sent %q, not %q", ErrDamaged, resp.Header.Get("Content-Range"), want)
	}
	return d.take(resp.Body)
}

// take copies until the end. An error of reading is passing, one of writing is not.
func (d *download) take(r io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			d.hash.Write(buf[:n])
			d.n += int64(n)
			if _, werr := d.w.Write(buf[:n]); werr != nil {
				return fmt.Errorf("write picture: %w", werr)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return passing{fmt.Errorf("read picture: %w", err)}
		}
	}
}

// check compares with what the server announced.
func (d *download) check() error {
	if d.size >= 0 && d.n != d.size {
		return fmt.Errorf("%w: %d bytes came of %d", ErrDamaged, d.n, d.size)
	}
	want, got := strings.Trim(d.etag, `"`), hex.EncodeToString(d.hash.Sum(nil))
	if got != want {
		return fmt.Errorf("%w: its digest is %s, announced was %q", ErrDamaged, got, want)
	}
	d.size = d.n
	return nil
}
