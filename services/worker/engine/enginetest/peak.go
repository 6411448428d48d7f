package enginetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// peak watches how much memory the children of this process hold at most. On
// systems without /proc it sees nothing.
type peak struct {
	mu  sync.Mutex
	hwm map[string]int64 // by process ID, in bytes
}

// lookEvery is the time between two looks.
const lookEvery = 20 * time.Millisecond

// watchPeak looks until the test ends.
func watchPeak(t *testing.T) *peak {
	p := &peak{hwm: map[string]int64{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				p.look()
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return p
}

// look reads the mark that the kernel keeps of each child. The last one counts: a
// child that is being started has its parent's.
func (p *peak) look() {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		children, _ := os.ReadFile(list)
		for id := range strings.FieldsSeq(string(children)) {
			status, _ := os.ReadFile(filepath.Join("/proc", id, "status"))
			_, line, found := strings.Cut(string(status), "VmHWM:")
			var kilobytes int64
			if _, err := fmt.Sscan(line, &kilobytes); !found || err != nil {
				continue
			}
			p.mu.Lock()
			p.hwm[id] = kilobytes << 10
			p.mu.Unlock()
		}
	}
}

// most is the largest of all, in bytes.
func (p *peak) most() (bytes int64) {
	p.look()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.hwm {
		bytes = max(bytes, b)
	}
	return bytes
}
