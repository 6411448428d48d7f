package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// bucket is what the store asks of a provider. Contexts bound the calls.
type bucket interface {
	// put stores a whole object with its digest, at once and atomically, and says
	// when that was by the provider's clock.
	put(ctx context.Context, name string, data []byte, digest string) (time.Time, error)
	// begin starts an object that comes in parts.
	begin(ctx context.Context, name string) (upload, error)
	// stat describes an object. A missing one is errNoBlob, or errNotThere where
	// it may be that the whole bucket is missing; so in all that follow.
	stat(ctx context.Context, name string) (object, error)
	// open gives length bytes from offset on, or all that follow for -1, of the
	// object that has the pin, any for "". Another one there is errChanged. The
	// object is described only where the whole is opened without a pin.
	open(ctx context.Context, name string, offset, length int64, pin string) (io.ReadCloser, object, error)
	// remove deletes an object; a missing one may be no error.
	remove(ctx context.Context, name string) error
	// list gives at most n objects below prefix with names above after, in order,
	// and the time by the provider's clock, zero for unknown.
	list(ctx context.Context, prefix, after string, n int) ([]object, time.Time, error)
	// close lets go of connections.
	close() error
}

// upload is an object on its way. abort, and complete, end it; both may be long.
type upload interface {
	part(ctx context.Context, data []byte) error
	complete(ctx context.Context) (time.Time, error)
	// abort removes what is there of it, after a failure of any kind.
	abort(ctx context.Context) error
}

// object is one as the provider describes it.
type object struct {
	name     string
	size     int64
	modified time.Time
	digest   string // of its metadata, "" for none
	pin      string // changes when it is replaced
}

var (
	errNoBlob   = errors.New("there is no such object")
	errNotThere = errors.New("there is no such object, or no such bucket")
	errChanged  = errors.New("the object was replaced while it was read")
)

// digestKey is the name of the metadata that holds the digest.
const digestKey = "sha256"

// contentType keeps the drivers from guessing.
const contentType = "application/octet-stream"

// portable is a bucket of any of gocloud.dev's drivers.
type portable struct {
	b *blob.Bucket
	// keyTokens: a page of the list may be asked for by the key before it.
	keyTokens bool
	// startAt makes a list begin at a name, at the latest; nil where it cannot.
	startAt func(name string) func(asFunc func(any) bool) error
	// writing is called before and after an object is written; nil for nothing.
	writing func(name string) (before func(asFunc func(any) bool) error, flush, after func() error)

	clock clock
}

// clock tells the time of a provider that does not, from when it said to have
// stored the last object: never too late, so that nothing looks older than it is.
type clock struct {
	mu         sync.Mutex
	seen, here time.Time
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen, c.here = t, time.Now()
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen.IsZero() {
		return time.Time{}
	}
	return c.seen.Add(time.Since(c.here)).UTC()
}

func (p *portable) close() error { return p.b.Close() }

func (p *portable) put(ctx context.Context, name string, data []byte, digest string) (time.Time, error) {
	u, err := p.start(ctx, name, map[string]string{digestKey: digest})
	if err != nil {
		return time.Time{}, err
	}
	if err := u.part(ctx, data); err != nil {
		return time.Time{}, errors.Join(err, u.abort(ctx))
	}
	t, err := u.complete(ctx)
	if err != nil {
		return time.Time{}, errors.Join(err, u.abort(ctx))
	}
	return t, nil
}

func (p *portable) begin(ctx context.Context, name string) (upload, error) {
	return p.start(ctx, name, nil)
}

func (p *portable) start(ctx context.Context, name string, meta map[string]string) (upload, error) {
	u := &written{p: p, name: name, flush: nothing, after: nothing}
	opts := &blob.WriterOptions{ContentType: contentType, Metadata: meta, BufferSize: partSize, MaxConcurrency: 1}
	if p.writing != nil {
		opts.BeforeWrite, u.flush, u.after = p.writing(name)
	}
	// The writer goes on after this call; what bounds it are the calls to come.
	wctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w, err := p.b.NewWriter(wctx, name, opts)
	if err != nil {
		cancel()
		return nil, err
	}
	u.w, u.cancel = w, cancel
	return u, nil
}

func nothing() error { return nil }

// written is an upload by a gocloud writer.
type written struct {
	p            *portable
	name         string
	w            *blob.Writer
	cancel       context.CancelFunc
	flush, after func() error
	closed       bool
}

// within ends the writer when the call's time is up.
func (u *written) within(ctx context.Context, do func() error) error {
	stop := context.AfterFunc(ctx, u.cancel)
	defer stop()
	err := do()
	if err != nil && ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	return err
}

func (u *written) part(ctx context.Context, data []byte) error {
	return u.within(ctx, func() error {
		_, err := u.w.Write(data)
		return err
	})
}

func (u *written) complete(ctx context.Context) (time.Time, error) {
	err := u.within(ctx, func() error {
		if err := u.flush(); err != nil {
			return err
		}
		u.closed = true
		return u.w.Close()
	})
	if err == nil {
		err = u.after()
	}
	if err != nil {
		return time.Time{}, err
	}
	obj, err := u.p.stat(ctx, u.name)
	if err != nil { // it is stored all the same, or was, before another removed it
		return time.Now().UTC(), nil //nolint:nilerr // see above
	}
	u.p.clock.set(obj.modified)
	return obj.modified, nil
}

func (u *written) abort(context.Context) error {
	u.cancel()
	if !u.closed {
		u.closed = true
		_ = u.w.Close() // it was cancelled, and says so
	}
	return nil
}

func (p *portable) stat(ctx context.Context, name string) (object, error) {
	a, err := p.b.Attributes(ctx, name)
	if err != nil {
		return object{}, absent(err)
	}
	return object{name: name, size: a.Size, modified: a.ModTime.UTC(), digest: a.Metadata[digestKey], pin: pinOf(a.ModTime, a.Size)}, nil
}

func pinOf(modified time.Time, size int64) string {
	return fmt.Sprintf("%d-%d", modified.UnixNano(), size)
}

// absent gives a missing object its name.
func absent(err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("%w: %w", errNotThere, err)
	}
	return err
}

func (p *portable) open(ctx context.Context, name string, offset, length int64, pin string) (io.ReadCloser, object, error) {
	var obj object
	if pin == "" { // what a reader says of its object leaves the metadata out
		var err error
		if obj, err = p.stat(ctx, name); err != nil {
			return nil, object{}, err
		}
		pin = obj.pin
	}
	r, err := p.b.NewRangeReader(ctx, name, offset, length, nil)
	if err != nil {
		return nil, object{}, absent(err)
	}
	if pinOf(r.ModTime(), r.Size()) != pin {
		return nil, object{}, errors.Join(errChanged, r.Close())
	}
	return r, obj, nil
}

func (p *portable) remove(ctx context.Context, name string) error {
	return absent(p.b.Delete(ctx, name))
}

func (p *portable) list(ctx context.Context, prefix, after string, n int) ([]object, time.Time, error) {
	opts, token := &blob.ListOptions{Prefix: prefix}, blob.FirstPageToken
	switch {
	case after == "":
	case p.keyTokens:
		token = []byte(after)
	case p.startAt != nil:
		opts.BeforeList = p.startAt(after)
	}
	var out []object
	for len(token) > 0 && len(out) < n {
		page, next, err := p.b.ListPage(ctx, token, max(n-len(out), 2), opts)
		if err != nil {
			return nil, time.Time{}, err
		}
		for _, o := range page {
			if o.Key > after && len(out) < n {
				out = append(out, object{name: o.Key, size: o.Size, modified: o.ModTime.UTC()})
			}
		}
		token = next
	}
	return out, p.clock.now(), nil
}
