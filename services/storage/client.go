package storage

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"imagemill/internal/fault"
)

// expectAbove is the body size from which a PUT asks first (Expect:
// 100-continue), so that a refusal does not cost the transfer, nor arrive on a
// connection that is still being written to.
const expectAbove = 256 << 10

// Client is a Store over HTTP.
type Client struct {
	base     string
	http     *http.Client
	replicas int
}

// NewClient makes a client of the storage behind base, such as http://storage.
func NewClient(base string, hc *http.Client) *Client { return &Client{base: base, http: hc} }

// WithReplicas gives a client whose Put asks for so many copies where its options
// ask for none; 0 leaves it to the storage.
func (c *Client) WithReplicas(n int) *Client {
	return &Client{base: c.base, http: c.http, replicas: n}
}

// Put implements [Store]. An error of r comes back as itself. A store that was
// reached, but whose answer was lost, is fault.Unavailable: a repeat is safe.
func (c *Client) Put(ctx context.Context, ref Ref, r io.Reader, opt PutOptions) (Info, error) {
	if err := checkPut(ref, opt); err != nil {
		return Info{}, err
	}
	src := &source{r: r, opt: opt}
	defer src.stop()
	path := blobPath(ref)
	if n := cmp.Or(opt.Replicas, c.replicas); n > 0 {
		path += "?replicas=" + strconv.Itoa(n)
	}
	req, err := c.request(ctx, http.MethodPut, path, src)
	if err != nil {
		return Info{}, err
	}
	req.ContentLength = opt.Size
	if opt.Size == 0 {
		// net/http takes a length of 0 with a body for an unknown one.
		if _, err := src.Read(nil); !errors.Is(err, io.EOF) {
			return Info{}, fmt.Errorf("put blob %s/%s: %w", ref.State, ref.Key, err)
		}
		req.Body = http.NoBody
	}
	if opt.Size < 0 || opt.Size > expectAbove {
		req.Header.Set("Expect", "100-continue")
	}
	if opt.SHA256 != "" {
		req.Header.Set(headerDigest, opt.SHA256)
	}
	resp, err := c.send(req)
	if err != nil {
		if own := src.failure(); own != nil {
			err = own
		}
		return Info{}, fmt.Errorf("put blob %s/%s: %w", ref.State, ref.Key, err)
	}
	var info Info
	err = decode(resp, &info)
	return info, err
}

// Get implements [Store].
func (c *Client) Get(ctx context.Context, ref Ref, span Span) (Object, error) {
	return c.get(ctx, ref, span, false)
}

// GetUnchecked implements [Unchecked]. A server that does not know of it checks.
func (c *Client) GetUnchecked(ctx context.Context, ref Ref) (Object, error) {
	return c.get(ctx, ref, Whole(), true)
}

func (c *Client) get(ctx context.Context, ref Ref, span Span, unchecked bool) (Object, error) {
	if err := errors.Join(ref.Validate(), span.Validate()); err != nil {
		return Object{}, err
	}
	req, err := c.request(ctx, http.MethodGet, blobPath(ref), nil)
	if err != nil {
		return Object{}, err
	}
	if !span.IsWhole() {
		req.Header.Set("Range", span.Header())
	}
	if unchecked {
		req.Header.Set(headerCheckedBy, checkedByCaller)
	}
	resp, err := c.send(req)
	if err != nil {
		return Object{}, fmt.Errorf("get blob %s/%s: %w", ref.State, ref.Key, err)
	}
	obj, err := ObjectFromResponse(resp)
	obj.Key = ref.Key
	if err == nil && !span.IsWhole() && resp.StatusCode == http.StatusOK && obj.Size > 0 {
		err = fault.Wrap(fault.Internal, "the storage ignored a range", resp.Body.Close())
	}
	return obj, err
}

// Stat implements [Store].
func (c *Client) Stat(ctx context.Context, ref Ref) (Info, error) {
	if err := ref.Validate(); err != nil {
		return Info{}, err
	}
	req, err := c.request(ctx, http.MethodHead, blobPath(ref), nil)
	if err != nil {
		return Info{}, err
	}
	resp, err := c.send(req)
	if fault.Is(err, fault.NotFound) {
		return Info{}, NotFound(ref) // an answer to HEAD has no sentence of its own
	}
	if err != nil {
		return Info{}, fmt.Errorf("stat blob %s/%s: %w", ref.State, ref.Key, err)
	}
	info := infoFromHeader(resp.Header)
	info.Key, info.Size = ref.Key, resp.ContentLength
	return info, resp.Body.Close()
}

// Delete implements [Store].
func (c *Client) Delete(ctx context.Context, ref Ref) error {
	if err := ref.Validate(); err != nil {
		return err
	}
	req, err := c.request(ctx, http.MethodDelete, blobPath(ref), nil)
	if err != nil {
		return err
	}
	resp, err := c.send(req)
	if err != nil {
		return fmt.Errorf("delete blob %s/%s: %w", ref.State, ref.Key, err)
	}
	return resp.Body.Close()
}

// List implements [Store].
func (c *Client) List(ctx context.Context, state State, after string, limit int) (Page, error) {
	limit, err := CheckList(state, after, limit)
	if err != nil {
		return Page{}, err
	}
	q := url.Values{"after": {after}, "limit": {strconv.Itoa(limit)}}
	req, err := c.request(ctx, http.MethodGet, "/blobs/"+string(state)+"?"+q.Encode(), nil)
	if err != nil {
		return Page{}, err
	}
	resp, err := c.send(req)
	if err != nil {
		return Page{}, fmt.Errorf("list blobs %s: %w", state, err)
	}
	var page Page
	err = decode(resp, &page)
	if page.Now.IsZero() { // of a version that does not say; its server stamps all the same
		page.Now, _ = http.ParseTime(resp.Header.Get("Date"))
	}
	return page, err
}

// blobPath needs no escaping: the ref is valid.
func blobPath(ref Ref) string { return "/blobs/" + string(ref.State) + "/" + ref.Key }

func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	// Compression would hide lengths and gains nothing on pictures.
	req.Header.Set("Accept-Encoding", "identity")
	return req, nil
}

// send gives an answer below 300, or the error.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(req.Context(), err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		defer resp.Body.Close() //nolint:errcheck // only read
		return nil, fault.FromResponse(resp)
	}
	return resp, nil
}

// unreachable gives a failure of the way to the storage its kind, but leaves
// the caller's own cancellation what it is.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("call storage: %w", errors.Join(ctx.Err(), err))
	}
	return fault.Wrap(fault.Unavailable, "the storage cannot be reached", err).WithRetryAfter(time.Second)
}

func decode(resp *http.Response, into any) error {
	defer resp.Body.Close() //nolint:errcheck // only read
	err := json.NewDecoder(resp.Body).Decode(into)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body) // to its end, so that the connection is used again
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, "the storage's answer broke off", err)
	}
	return nil
}
