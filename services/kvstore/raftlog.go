package kvstore

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// raftLogger sends Raft's messages to log. Raft warns of what is its daily
// business (every election begins with a warning), so all but its errors come
// one level lower. With often, warnings and errors of one form and about one
// peer pass once a minute: Raft repeats them at every heartbeat that fails.
func raftLogger(log *slog.Logger, often *occasional) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: hclog.Info, Output: io.Discard})
	l.RegisterSink(slogSink{log, often})
	return l
}

type slogSink struct {
	log   *slog.Logger
	often *occasional
}

// Accept takes one message from hclog.
func (s slogSink) Accept(name string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch {
	case level >= hclog.Error:
		to = slog.LevelError
	case level >= hclog.Warn:
		to = slog.LevelInfo
	}
	if !s.log.Enabled(context.Background(), to) {
		return
	}
	if s.often != nil && level >= hclog.Warn {
		ok, missed := s.often.allow("raft " + msg + aboutPeer(args))
		if !ok {
			return
		}
		if missed > 0 {
			args = append(args, "leftOut", missed)
		}
	}
	for i, a := range args {
		switch v := a.(type) {
		case hclog.Format:
			args[i] = fmt.Sprintf(fmt.Sprint(v[0]), v[1:]...)
		case fmt.Stringer, error:
			args[i] = fmt.Sprint(v)
		}
	}
	s.log.Log(context.Background(), to, msg, append([]any{"part", name}, args...)...)
}

// aboutPeer gives the peer that a message names, "" for none.
func aboutPeer(args []any) string {
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == "peer" {
			return fmt.Sprint(args[i+1])
		}
	}
	return ""
}
