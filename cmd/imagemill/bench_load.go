package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"imagemill/pkg/client"
)

// sample is what became of one picture.
type sample struct {
	// upload is the time until the upload was acknowledged, total the time from
	// its first byte until it was seen to be finished.
	upload, total time.Duration
	err           error
	// picture and status are kept for a verification only.
	picture []byte
	status  client.Status
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

// suiteTask uploads and waits; keep has it keep what a verification needs.
func suiteTask(c *client.Client, next func() []byte, o client.Options, keep bool) task {
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
		case keep:
			s.picture, s.status = picture, st
		}
		return s
	}
}
