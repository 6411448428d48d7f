package serve

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// outcome is how a request ended.
type outcome struct {
	method, path, route string
	status              int
	size                int64
	took                time.Duration
	err                 error
}

// report counts the request and logs it: failures of ours as errors, refusals
// and public requests as info, the rest for debugging only.
func (s *Server) report(ctx context.Context, o outcome) {
	s.metrics.observe(o)
	level := slog.LevelDebug
	switch {
	case o.status >= 500 && o.status != http.StatusServiceUnavailable && o.status != http.StatusInsufficientStorage:
		level = slog.LevelError
	case o.status >= 400 || s.app.Public:
		level = slog.LevelInfo
	}
	if operatingPath(o.path) {
		level = slog.LevelDebug
	}
	if !s.app.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", o.method), slog.String("path", o.path),
		slog.Int("status", o.status), slog.Int64("bytes", o.size),
		slog.Duration("took", o.took), slog.String("requestId", RequestID(ctx)),
	}
	if o.err != nil {
		attrs = append(attrs, slog.String("error", o.err.Error()))
	}
	s.app.Log.LogAttrs(ctx, level, "request", attrs...)
}
