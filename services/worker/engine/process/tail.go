package process

import (
	"strings"
	"sync"
)

// tailBytes is how much of a child's last words is kept.
const tailBytes = 4 << 10

// tail keeps the first and the last bytes written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

// Write implements io.Writer; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - tailBytes; over > 0 {
		// The first bytes of a Go crash say why; the rest is stacks.
		t.kept = append(t.kept[:tailBytes/2:tailBytes/2], t.kept[tailBytes/2+over:]...)
	}
	return len(p), nil
}

// String gives what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(string(t.kept), "?")
}

// cause is the line in which a Go program says why it crashes, or nothing.
func (t *tail) cause() string {
	for line := range strings.Lines(t.String()) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			line = strings.TrimSpace(line)
			return " (" + line[:min(len(line), 200)] + ")"
		}
	}
	return ""
}

// outOfMemory reports whether the last words are those of a Go program, of GLib
// or of the C++ library that was refused memory.
func (t *tail) outOfMemory() bool {
	text := t.String()
	for _, words := range []string{
		"out of memory", "cannot allocate memory", "failed to allocate", "std::bad_alloc", "errno=12", "pthread_create failed",
	} {
		if strings.Contains(text, words) {
			return true
		}
	}
	// The collector of Go 1.26 does not look whether its queue was given memory.
	_, crash, _ := strings.Cut(text, "SIGSEGV: ")
	first, _, _ := strings.Cut(crash, "\n\t") // down to the innermost call
	return strings.Contains(first, "addr=0x0\n") && strings.Contains(first, "\nruntime.(*spanQueue).")
}
