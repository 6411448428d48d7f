package discovery_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// instanceEnv turns the test program into an instance.
const instanceEnv = "DISCOVERY_TEST_INSTANCE"

// served is how long an instance works on a request.
const served = 10 * time.Millisecond

// beInstance serves until it is killed. It prints its address, and then the ID of
// each request before it is carried out: what is in the pipe outlives the process.
func beInstance() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("http://" + ln.Addr().String())
	var refuse atomic.Bool
	var out sync.Mutex
	mux := http.NewServeMux()
	mux.HandleFunc("/refuse", func(http.ResponseWriter, *http.Request) { refuse.Store(true) })
	mux.HandleFunc("/work", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		out.Lock()
		_, err := fmt.Println(r.URL.Query().Get("id"))
		out.Unlock()
		if err != nil {
			return
		}
		<-time.After(served)
		if refuse.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	_ = http.Serve(ln, mux)
}

// proc is an instance in a process of its own.
type proc struct {
	url string
	cmd *exec.Cmd
	end func() // kills it and waits until all that it said is read

	mu  sync.Mutex
	ran map[string]int // by request ID
}

// startProc starts an instance that ends with the test.
func startProc(t *testing.T) *proc {
	t.Helper()
	p := &proc{cmd: exec.Command(os.Args[0]), ran: map[string]int{}}
	p.cmd.Env = append(os.Environ(), instanceEnv+"=1")
	p.cmd.Stderr = os.Stderr
	pipe, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	lines := bufio.NewScanner(pipe)
	require.True(t, lines.Scan(), "the instance says where it listens")
	p.url = lines.Text()
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines.Scan() {
			p.mu.Lock()
			p.ran[lines.Text()]++
			p.mu.Unlock()
		}
	}()
	p.end = sync.OnceFunc(func() { _ = p.cmd.Process.Kill(); <-read; _ = p.cmd.Wait() })
	t.Cleanup(p.end)
	return p
}

// times tells how often the instance began to carry out a request.
func (p *proc) times(id string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ran[id]
}

// total counts what it began to carry out.
func (p *proc) total() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, times := range p.ran {
		n += times
	}
	return n
}
