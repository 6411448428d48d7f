// Package consultest runs a real Consul for tests: a development agent on free
// ports of loopback, with everything in memory, stopped when the test ends.
//
// The program is looked for under the path in IMAGEMILL_CONSUL, and then as
// bin/consul in the module's root, where "make consul" builds it. A test without
// it is skipped, with the reason, but fails where IMAGEMILL_CI is 1.
package consultest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
)

// NodeName is the name of every agent's node.
const NodeName = "parity"

// startTime bounds how long an agent may take until it accepts sessions.
const startTime = time.Minute

// settings let an agent accept short sessions and many waiting queries of one
// client, as tests need them, and switch off what would phone home.
const settings = `session_ttl_min = "10ms" disable_update_check = true limits { http_max_conns_per_client = 10000 }`

// Agent is one running Consul.
type Agent struct {
	// URL is where its HTTP API is served.
	URL string
	// PID is its process.
	PID  int
	cmd  *exec.Cmd
	log  lockedBuffer
	done chan struct{}
	once sync.Once
}

// Program gives the path of consul; without it, it ends the test.
func Program(t testing.TB) string {
	t.Helper()
	path, err := find()
	if err == nil {
		return path
	}
	if os.Getenv("IMAGEMILL_CI") == "1" {
		t.Fatalf("the real Consul is missing: %v", err)
	}
	t.Skipf("the real Consul is missing, make consul builds it: %v", err)
	return ""
}

func find() (string, error) {
	if path := os.Getenv("IMAGEMILL_CONSUL"); path != "" {
		_, err := os.Stat(path)
		return path, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			path := filepath.Join(dir, "bin", "consul")
			_, err := os.Stat(path)
			return path, err
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", fmt.Errorf("no go.mod above the working folder")
		}
		dir = above
	}
}

// Start runs an agent until the test ends or Stop is called. It returns when the
// agent accepts sessions, and fails the test when it does not.
func Start(t testing.TB) *Agent {
	t.Helper()
	program := Program(t)
	var err error
	// Another process may take a port between its choice and its use.
	for range 3 {
		var a *Agent
		if a, err = begin(program); err != nil {
			continue
		}
		t.Cleanup(a.Stop)
		if err = a.await(t.Context()); err == nil {
			return a
		}
		a.Stop()
	}
	t.Fatalf("start consul: %v", err)
	return nil
}

func begin(program string) (*Agent, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	a := &Agent{URL: "http://127.0.0.1:" + ports[0], done: make(chan struct{})}
	a.cmd = exec.Command(program, "agent", "-dev", "-bind=127.0.0.1", "-client=127.0.0.1", "-node="+NodeName,
		"-log-level=warn", "-hcl="+settings, "-http-port="+ports[0], "-server-port="+ports[1],
		"-serf-lan-port="+ports[2], "-serf-wan-port=-1", "-dns-port=-1", "-grpc-port=-1")
	a.cmd.Stdout, a.cmd.Stderr = &a.log, &a.log
	a.cmd.WaitDelay = time.Second
	tie(a.cmd)
	started := make(chan error, 1)
	go func() {
		defer close(a.done)
		// The kernel ties the agent to the thread that starts it, so that one stays.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := a.cmd.Start()
		started <- err
		if err == nil {
			_ = a.cmd.Wait() // killed, by Stop
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	a.PID = a.cmd.Process.Pid
	return a, nil
}

// await asks until a session can be made, and ends it: then there is a leader,
// and it knows its own node.
func (a *Agent) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var made struct{ ID string }
		answer, err := put(ctx, client, a.URL+"/v1/session/create")
		if err == nil && json.Unmarshal(answer, &made) == nil {
			_, err = put(ctx, client, a.URL+"/v1/session/destroy/"+made.ID)
			return err
		}
		select {
		case <-tick.C:
		case <-a.done:
			return fmt.Errorf("consul ended: %s", a.log.String())
		case <-ctx.Done():
			return fmt.Errorf("consul is not ready in %s: %s", startTime, a.log.String())
		}
	}
}

// put sends an empty PUT and gives the answer's body.
func put(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}

// Stop kills the agent and waits for its end; its data are gone with it.
func (a *Agent) Stop() {
	a.once.Do(func() {
		_ = a.cmd.Process.Kill() // it may have ended by itself
		<-a.done
	})
}

// freePorts gives ports on which nothing listened a moment ago.
func freePorts(n int) (ports []string, err error) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = ln.Close() }()
		ports = append(ports, strconv.Itoa(ln.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}

// lockedBuffer holds what the agent says.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String gives all that was said so far.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
