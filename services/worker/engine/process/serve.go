package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"imagemill/services/worker/engine"
)

// Serve is the child's side: it greets, then answers one request after the
// other until in ends, which returns nil, or ctx is done, which returns its
// error. A failure of the engine is an answer, not an end; a broken pipe or a
// frame that makes no sense is an end.
//
// Nothing else may write to out. When ctx ends first, a read from in stays
// behind until in ends or is closed; the process is expected to exit then.
// The wall clock is the parent's: a job's own WallTime is not looked at here
// unless the engine does.
func Serve(ctx context.Context, in io.Reader, out io.Writer, e engine.Engine) error {
	if err := writeFrame(out, hello{protocol}); err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	requests, ended := make(chan request), make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { ended <- receive(ctx, bufio.NewReader(in), requests) }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return err
		case r := <-requests:
			answer := reply{ID: r.ID}
			report, err := e.Render(ctx, r.Job)
			if err != nil {
				answer.Failure = failureOf(err)
			} else {
				answer.Report = report
			}
			if err := writeFrame(out, answer); err != nil {
				return fmt.Errorf("answer: %w", err)
			}
		}
	}
}

// receive reads requests until in ends.
func receive(ctx context.Context, in io.Reader, requests chan<- request) error {
	for {
		var r request
		switch err := readFrame(in, &r); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("receive: %w", err)
		}
		select {
		case requests <- r:
		case <-ctx.Done():
			return nil
		}
	}
}
