// Package scribe writes the lines of a log in bundles.
//
// Each line of a container's log wakes two processes of the container engine, which
// for a tiny picture cost more than the line itself. A line that comes after a pause
// goes out at once, and so does one of a warning or an error, with all before it;
// what else follows within [pause] goes out together.
//
// A process that is killed, or ends by itself without [Writer.Flush], takes with it
// the lines of that time, of which none is a warning.
package scribe

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// pause is how long a line may wait for others.
	pause = 200 * time.Millisecond
	// most is how many bytes wait at most. Container engines read 16 or 32 KiB at a time.
	most = 16 << 10
)

// Writer bundles what is written to it. Make it with [NewWriter]; it is safe for
// concurrent use. Each call of Write has to be whole lines.
type Writer struct {
	mu      sync.Mutex
	w       io.Writer
	waiting []byte
	last    time.Time   // when something went out
	timer   *time.Timer // set while something waits
}

// NewWriter makes a writer in front of w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write takes lines; an error is that of what went out just now.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, p...)
	now := time.Now()
	if len(w.waiting) >= most || (w.timer == nil && now.Sub(w.last) >= pause) {
		return len(p), w.flush(now)
	}
	if w.timer == nil {
		w.timer = time.AfterFunc(pause, func() { _ = w.Flush() })
	}
	return len(p), nil
}

// Flush writes what waits.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush(time.Now())
}

func (w *Writer) flush(now time.Time) error {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	if len(w.waiting) == 0 {
		return nil
	}
	w.last = now
	_, err := w.w.Write(w.waiting)
	if w.waiting = w.waiting[:0]; cap(w.waiting) > 2*most {
		w.waiting = nil
	}
	return err
}

// Handler gives a slog.Handler that writes JSON to w, and where w is a [Writer],
// flushes it after each record of a warning or worse.
func Handler(w io.Writer, o *slog.HandlerOptions) slog.Handler {
	h := slog.NewJSONHandler(w, o)
	if bundles, ok := w.(*Writer); ok {
		return handler{h, bundles}
	}
	return h
}

type handler struct {
	slog.Handler
	w *Writer
}

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if r.Level < slog.LevelWarn {
		return err
	}
	if ferr := h.w.Flush(); err == nil {
		err = ferr
	}
	return err
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs), h.w}
}

func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.w}
}
