package gossip

import (
	"bytes"
	"log"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Once said, a kind of trouble is said again after this time at the earliest: a
// stranger at the port, or one with another key, must not fill the log.
const logPause = time.Minute

// maxKinds bounds the kinds of trouble that are told apart within logPause;
// others share one.
const maxKinds = 64

// seldom logs each kind of message once in logPause and counts the rest.
type seldom struct {
	log *slog.Logger

	mu    sync.Mutex
	kinds map[string]*kind
}

type kind struct {
	last  time.Time
	quiet int // messages since
}

func newSeldom(log *slog.Logger) *seldom { return &seldom{log: log, kinds: map[string]*kind{}} }

// warn logs the message, unless one of its kind was logged lately.
func (s *seldom) warn(name, msg string, args ...any) {
	quiet, due := s.due(name, time.Now())
	if !due {
		return
	}
	if quiet > 0 {
		args = append(args, "repeated", quiet)
	}
	s.log.Warn(msg, args...)
}

// due tells whether the kind may be logged, and how many were not since the last.
func (s *seldom) due(name string, now time.Time) (quiet int, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[name]
	if k == nil && len(s.kinds) >= maxKinds {
		name = "other"
		k = s.kinds[name]
	}
	if k == nil {
		k = &kind{}
		s.kinds[name] = k
	}
	if !k.last.IsZero() && now.Sub(k.last) < logPause {
		k.quiet++
		return 0, false
	}
	quiet, k.last, k.quiet = k.quiet, now, 0
	return quiet, true
}

// serfLogger makes a logger for Serf and memberlist. Their trouble is logged
// seldom, as a warning; what they are up to is for debugging, since the Registry
// itself says what matters of it.
func (s *seldom) serfLogger() *log.Logger { return log.New((*serfLines)(s), "", 0) }

// serfLines takes lines such as "[WARN] serf: text".
type serfLines seldom

var (
	serfLine = regexp.MustCompile(`^\[(\w+)\]\s*(.*)$`)
	// variable is where the part of a line begins that differs each time.
	variable = regexp.MustCompile(`[0-9]| from=`)
)

func (l *serfLines) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	level := "WARN"
	if m := serfLine.FindStringSubmatch(text); m != nil {
		level, text = m[1], m[2]
	}
	s := (*seldom)(l)
	// A member that comes back finds its old self in what others know.
	if level == "DEBUG" || level == "INFO" || strings.Contains(text, "Refuting an alive message") {
		s.log.Debug(text)
		return len(line), nil
	}
	switch lower := strings.ToLower(text); {
	case strings.Contains(lower, "no installed keys could decrypt"), strings.Contains(lower, "encryption is not configured"),
		strings.Contains(lower, "encryption is configured"):
		s.warn("key", "a message with another encryption key was refused", "detail", text)
	case strings.Contains(lower, "unacceptable label"):
		s.warn("label", "a message of another cluster was refused", "detail", text)
	default:
		name := text
		if at := variable.FindStringIndex(text); at != nil {
			name = text[:at[0]]
		}
		s.warn(name, "gossip: "+text)
	}
	return len(line), nil
}
