package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
)

// Services lists the six services, in an order in which each leans on those before it.
func Services() []string {
	return []string{"kvstore", "taskdb", "storage", "imagemaster", "worker", "frontend"}
}

// Processes is the suite with every service as a process of its own, on
// loopback ports and with data in a temporary folder.
type Processes struct {
	// Binary is the built imagemill.
	Binary string
	// Env is added to the environment of every process.
	Env []string
	// Count is how many there are of a service, one where it says nothing.
	Count map[string]int
	// Linked has every process be reached through a [Link] of its own.
	Linked bool
	// Disks are folders for the data of services, in place of those that it makes.
	Disks map[string]string

	t   testing.TB
	dir string
	// scratch is where all workers put the pictures that they work on.
	scratch string
	ports   map[string]int
	http    *http.Client

	mu    sync.Mutex
	procs map[string]*Process // by name: a service and a number, "worker-2"
	links map[string]*Link
	turn  atomic.Int64
}

// Process is one running service.
type Process struct {
	Name, Service string
	cmd           *exec.Cmd
	log           *lockedBuffer
	exited        chan struct{}
}

// Build compiles imagemill into a temporary folder, with clocks that can be set; see
// [Processes.SetClock].
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "imagemill")
	out, err := exec.CommandContext(ctx, "go", "build", "-tags", "faultlab", "-o", binary, "imagemill/cmd/imagemill").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build imagemill: %w\n%s", err, out)
	}
	return binary, nil
}

// NewProcesses prepares a suite without starting anything. Everything is
// stopped, and on a failure the logs are shown, when the test ends.
func NewProcesses(t testing.TB, binary string, env ...string) *Processes {
	p := &Processes{
		Binary: binary, Env: env, t: t, dir: t.TempDir(), scratch: t.TempDir(),
		ports: map[string]int{}, procs: map[string]*Process{}, http: HTTPClient(t),
		Count: map[string]int{"frontend": 2, "imagemaster": 2}, Disks: map[string]string{}, links: map[string]*Link{},
	}
	for _, name := range []string{"kvstore", "nats", "frontend-1", "frontend-2"} {
		p.ports[name] = FreePort(t)
	}
	t.Cleanup(p.close)
	return p
}

// FreePort finds a port that is free for TCP and UDP, and that no other test is
// given before this one ends. It lies below those that systems give to outgoing
// connections: a process that is started anew must find it free again.
func FreePort(t testing.TB) int {
	t.Helper()
	var lc net.ListenConfig
	at := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	for {
		require.NoError(t, t.Context().Err())
		port := 10_000 + 2*rand.IntN(10_000)
		// Whoever holds the odd neighbour has the port, also of tests in other programs.
		mark, err := lc.Listen(t.Context(), "tcp", at(port+1))
		if err != nil {
			continue
		}
		if ln, err := lc.Listen(t.Context(), "tcp", at(port)); err == nil {
			_ = ln.Close()
			if pc, err := lc.ListenPacket(t.Context(), "udp", at(port)); err == nil {
				_ = pc.Close()
				t.Cleanup(func() { _ = mark.Close() })
				return port
			}
		}
		_ = mark.Close()
	}
}

// port is the one that a process listens on.
func (p *Processes) port(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ports[name] == 0 {
		p.ports[name] = FreePort(p.t)
	}
	return p.ports[name]
}

// Link gives the link to a process; the suite is Linked.
func (p *Processes) Link(name string) *Link {
	port := p.port(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.links[name] == nil {
		p.links[name] = NewLink(p.t, fmt.Sprintf("127.0.0.1:%d", port))
	}
	return p.links[name]
}

// at is where others reach a process.
func (p *Processes) at(name string) string {
	if p.Linked {
		return p.Link(name).Address()
	}
	return fmt.Sprintf("127.0.0.1:%d", p.port(name))
}

// settings gives what is common to all processes: short intervals, so that
// what takes seconds in operation takes less here.
func (p *Processes) settings() []string {
	at := func(name string) string { return fmt.Sprintf("127.0.0.1:%d", p.port(name)) }
	return append([]string{
		"IMAGEMILL_DISCOVERY=consul://" + p.at("kvstore"), "IMAGEMILL_DISCOVERY_TTL=2s",
		"IMAGEMILL_KVSTORE_SESSION_TTL_MIN=1s", "IMAGEMILL_KVSTORE_LISTEN=" + at("kvstore"),
		"IMAGEMILL_NATS=nats://" + p.at("nats"), "IMAGEMILL_NATS_LISTEN=" + at("nats"),
		"IMAGEMILL_TASKDB_LISTEN=127.0.0.1:0", "IMAGEMILL_STORAGE_LISTEN=127.0.0.1:0",
		"IMAGEMILL_IMAGEMASTER_LISTEN=127.0.0.1:0", "IMAGEMILL_WORKER_LISTEN=127.0.0.1:0",
		"IMAGEMILL_KVSTORE_DATA=" + p.Data("kvstore"),
		"IMAGEMILL_TASKDB_PATH=" + filepath.Join(p.Data("taskdb"), "tasks.db"),
		"IMAGEMILL_STORAGE_DATA=" + p.Data("storage"), "IMAGEMILL_STORAGE_MIN_FREE=0",
		"IMAGEMILL_WORKER_SCRATCH=" + p.scratch,
		"IMAGEMILL_TASKDB_LEASE=3s", "IMAGEMILL_IMAGEMASTER_LEASE=3s",
		"IMAGEMILL_IMAGEMASTER_SWEEP_EVERY=2s", "IMAGEMILL_IMAGEMASTER_ORPHAN_AGE=4s",
		"IMAGEMILL_IMAGEMASTER_RECORD_TIMEOUT=2s", "IMAGEMILL_LINGER=300ms",
	}, p.Env...)
}

// Start starts one process under a name such as "worker-2"; the number picks
// the port of a frontend.
func (p *Processes) Start(service, name string) *Process {
	p.t.Helper()
	cmd := exec.Command(p.Binary, service) // it outlives every context but the test
	cmd.Env = append(os.Environ(), p.settings()...)
	setting := "IMAGEMILL_" + strings.ToUpper(service)
	announced := p.Linked && service != "kvstore" && service != "nats"
	if announced || service == "frontend" {
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s_LISTEN=127.0.0.1:%d", setting, p.port(name)))
	}
	if announced {
		cmd.Env = append(cmd.Env, setting+"_ADVERTISE="+p.at(name))
	}
	cmd.Env = append(cmd.Env, "FAULTLAB_CLOCK="+p.clock(name))
	if service == "storage" && name != service {
		cmd.Env = append(cmd.Env, "IMAGEMILL_STORAGE_DATA="+p.Data(name)) // a disk of its own
	}
	proc := &Process{Name: name, Service: service, cmd: cmd, log: &lockedBuffer{}, exited: make(chan struct{})}
	if before := p.Get(name); before != nil {
		proc.log = before.log // one log for all lives of a name
	}
	cmd.Stderr, cmd.Stdout = proc.log, proc.log
	require.NoError(p.t, cmd.Start())
	go func() {
		defer close(proc.exited)
		_ = cmd.Wait() // how it ended is read from ProcessState
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.procs[name] = proc
	return proc
}

// StartAll starts one of each service and two of what can be two: "worker-1"
// to workers, two masters, two frontends, and the NATS server.
func (p *Processes) StartAll(workers int) {
	p.t.Helper()
	p.Start("nats", "nats")
	for _, s := range Services() {
		p.StartService(s, workers)
	}
	p.Ready(workers)
}

// StartService starts all processes of one service.
func (p *Processes) StartService(service string, workers int) {
	p.t.Helper()
	n := p.Count[service]
	if service == "worker" {
		n = workers
	}
	if n == 0 && service != "worker" {
		p.Start(service, service)
	}
	for i := 1; i <= n; i++ {
		p.Start(service, fmt.Sprintf("%s-%d", service, i))
	}
}

// Ready waits until the registry shows all services, and both frontends a master.
func (p *Processes) Ready(workers int) {
	p.t.Helper()
	want := map[string]int{"worker": workers}
	for _, s := range []string{"taskdb", "storage", "imagemaster", "frontend"} {
		want[s] = max(1, p.Count[s])
	}
	p.Eventually("all services are announced", func() bool {
		seen := p.Announced()
		for s, n := range want {
			if len(seen[s]) != n {
				return false
			}
		}
		return true
	})
	for _, name := range []string{"frontend-1", "frontend-2"} {
		p.Eventually(name+" is ready", func() bool {
			return p.Status("http://"+p.at(name)+"/readyz") == http.StatusOK
		})
	}
}

// Announced reads the registry: by service, the keys that are there.
func (p *Processes) Announced() map[string][]string {
	seen := map[string][]string{}
	for key := range p.Registry() {
		parts := bytes.Split([]byte(key), []byte("/"))
		if len(parts) == 3 {
			seen[string(parts[1])] = append(seen[string(parts[1])], key)
		}
	}
	return seen
}

// Registry reads all announcements, as Consul's own client sees them.
func (p *Processes) Registry() map[string][]byte {
	client, err := api.NewClient(&api.Config{
		Address: fmt.Sprintf("http://127.0.0.1:%d", p.port("kvstore")), HttpClient: p.http,
	})
	require.NoError(p.t, err)
	pairs, _, err := client.KV().List("services/", nil)
	if err != nil {
		return nil
	}
	out := map[string][]byte{}
	for _, kv := range pairs {
		out[kv.Key] = kv.Value
	}
	return out
}

// Status gives the status of a GET, or 0 where nobody answers.
func (p *Processes) Status(url string) int { return status(p.t.Context(), p.http, url) }

func status(ctx context.Context, hc *http.Client, url string) int {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	resp, err := hc.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// URL names the two frontends in turn, so that a client that tries again asks
// the other one.
func (p *Processes) URL() string {
	return p.URLs()[p.turn.Add(1)%2]
}

// URLs are both frontends.
func (p *Processes) URLs() []string {
	return []string{"http://" + p.at("frontend-1"), "http://" + p.at("frontend-2")}
}

// Names lists the running processes of a service, of all for "".
func (p *Processes) Names(service string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for name, proc := range p.procs {
		if service == "" || proc.Service == service {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Get gives a process by its name.
func (p *Processes) Get(name string) *Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.procs[name]
}

// Signal sends a signal to a process.
func (p *Processes) Signal(name string, sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.Get(name).cmd.Process.Signal(sig))
}

// Wait waits for a process to exit and gives its exit code (-1: by a signal).
func (p *Processes) Wait(name string, within time.Duration) int {
	p.t.Helper()
	proc := p.Get(name)
	select {
	case <-proc.exited:
	case <-time.After(within):
		require.Failf(p.t, "still running", "%s after %s", name, within)
	}
	return proc.cmd.ProcessState.ExitCode()
}

// Kill ends a process as a crash does, without a word to it.
func (p *Processes) Kill(name string) {
	p.t.Helper()
	p.Signal(name, os.Kill)
	p.Wait(name, patience)
}

// Restart starts a process again that has ended.
func (p *Processes) Restart(name string) *Process {
	p.t.Helper()
	return p.Start(p.Get(name).Service, name)
}

// Address gives the URL that a service announces, the first of several.
func (p *Processes) Address(service string) string {
	p.t.Helper()
	var found string
	p.Eventually(service+" is announced", func() bool {
		for _, url := range p.Addresses(service) {
			if p.Status(url+"/healthz") == http.StatusOK {
				found = url
				return true
			}
		}
		return false
	})
	return found
}

// Addresses gives all URLs that a service announces now.
func (p *Processes) Addresses(service string) (urls []string) {
	for key, value := range p.Registry() {
		var in discovery.Instance
		if strings.HasPrefix(key, "services/"+service+"/") && json.Unmarshal(value, &in) == nil {
			urls = append(urls, in.URL)
		}
	}
	return urls
}

// Scratch lists the folders that workers, living and dead, have there.
func (p *Processes) Scratch() []string {
	p.t.Helper()
	entries, err := os.ReadDir(p.scratch)
	require.NoError(p.t, err)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// clock is the file that says how far the clock of a process is ahead.
func (p *Processes) clock(name string) string { return filepath.Join(p.dir, name+".clock") }

// SetClock sets the clock of a taskdb on SQLite, or of a storage, and of those that
// have its name later, so far ahead of the machine's, or behind.
func (p *Processes) SetClock(name string, ahead time.Duration) error {
	file := p.clock(name)
	if err := os.WriteFile(file+".new", []byte(ahead.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// Data is the folder that a service keeps its data in; each storage has its own,
// by its name.
func (p *Processes) Data(name string) string {
	if dir := p.Disks[name]; dir != "" {
		return filepath.Join(dir, name)
	}
	return filepath.Join(p.dir, name)
}

// Forget removes the data of a service, none of whose processes runs, or of one
// storage.
func (p *Processes) Forget(name string) {
	p.t.Helper()
	require.NoError(p.t, os.RemoveAll(p.Data(name)))
}

// Log gives what the process, in all its lives, has written.
func (p *Process) Log() string { return p.log.tail(1 << 30) }

// Send sends a signal to this life of a process; one that has ended is an error.
func (p *Process) Send(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Exited reports whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// patience is how long a condition may take to come true.
const patience = 2 * time.Minute

// Eventually polls a condition.
func (p *Processes) Eventually(what string, cond func() bool) {
	p.t.Helper()
	require.Eventuallyf(p.t, cond, patience, 20*time.Millisecond, "%s", what)
}

// close kills what is left and, on failure, shows the ends of the logs.
func (p *Processes) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, proc := range p.procs {
		_ = proc.cmd.Process.Kill() // it may have ended
	}
	for name, proc := range p.procs {
		<-proc.exited
		if p.t.Failed() {
			p.t.Logf("--- %s:\n%s", name, proc.log.tail(4000))
		}
	}
}

// lockedBuffer collects a process's output.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

var _ io.Writer = (*lockedBuffer)(nil)

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) tail(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.buf.Bytes()
	return string(s[max(0, len(s)-n):])
}
