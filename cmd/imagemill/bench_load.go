package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/gif"  // the formats of results
	_ "image/jpeg" // the formats of results
	_ "image/png"  // the formats of results
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	_ "golang.org/x/image/bmp"  // the formats of results
	_ "golang.org/x/image/tiff" // the formats of results

	"imagemill/pkg/client"
)

// sample is what became of one picture.
type sample struct {
	// upload is the time until the upload was acknowledged, total the time from
	// its first byte until it was seen to be finished.
	upload, total time.Duration
	err           error
}

// task takes one picture all the way. It does not panic and obeys its context.
type task func(ctx context.Context) sample

// load runs count tasks, clients of them at once, and calls step after each.
type load struct {
	clients, count int
	timeout        time.Duration
	task           task
	step           func()
}

// run gives one sample for every task, and how long all of them took. Tasks
// that were not begun when ctx ended have its error.
func (l *load) run(ctx context.Context) ([]sample, time.Duration) {
	all := make([]sample, l.count)
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range min(l.clients, l.count) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(l.count); i = next.Add(1) - 1 {
				if err := ctx.Err(); err != nil {
					all[i].err = err
					continue
				}
				all[i] = l.one(ctx)
				l.step()
			}
		})
	}
	wg.Wait()
	return all, time.Since(start)
}

func (l *load) one(ctx context.Context) sample {
	ctx, stop := context.WithTimeout(ctx, l.timeout)
	defer stop()
	return l.task(ctx)
}

// benchHTTP keeps a connection for every client, so that none is opened anew in
// the middle of a measurement.
func benchHTTP(clients int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		MaxIdleConns:        2 * clients,
		MaxIdleConnsPerHost: 2 * clients,
		// Fewer system calls for large pictures.
		WriteBufferSize: 64 << 10,
	}}
}

// suiteTask uploads, waits and, if asked to, verifies after the time is taken.
func suiteTask(c *client.Client, next func() []byte, o client.Options, verify bool) task {
	return func(ctx context.Context) (s sample) {
		picture := next()
		start := time.Now()
		id, err := c.Upload(ctx, bytes.NewReader(picture), int64(len(picture)), o)
		s.upload = time.Since(start)
		if err != nil {
			s.err = err
			return s
		}
		st, err := c.Wait(ctx, id)
		s.total = time.Since(start)
		switch {
		case err != nil:
			s.err = err
		case st.State != client.Finished:
			s.err = fmt.Errorf("image %s is %s: %s", id, st.State, st.Error)
		case verify:
			s.err = verifyAll(ctx, c, st)
		}
		return s
	}
}

// verifyAll compares every rendition with what the status says of it. The
// client has compared the bytes with the announced digest already.
func verifyAll(ctx context.Context, c *client.Client, st client.Status) error {
	if len(st.Renditions) == 0 {
		return fmt.Errorf("image %s is finished without a rendition", st.ID)
	}
	for _, want := range st.Renditions {
		var b bytes.Buffer
		got, err := c.Download(ctx, st.ID, want.Name, &b)
		if err != nil {
			return err
		}
		if got.SHA256 != want.SHA256 || got.Size != want.Size {
			return fmt.Errorf("image %s: %s has %d bytes and digest %s, not %d and %s",
				st.ID, want.Name, got.Size, got.SHA256, want.Size, want.SHA256)
		}
		m, format, err := image.DecodeConfig(&b)
		if err != nil {
			return fmt.Errorf("image %s: decode %s: %w", st.ID, want.Name, err)
		}
		if m.Width != want.Width || m.Height != want.Height || format != want.Format {
			return fmt.Errorf("image %s: %s is a %s of %d×%d, not a %s of %d×%d",
				st.ID, want.Name, format, m.Width, m.Height, want.Format, want.Width, want.Height)
		}
	}
	return nil
}
