package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// tailBytes is how much of a child's last words is kept.
const tailBytes = 4 << 10

// reapTime is how long the end of a killed child's stderr is waited for.
const reapTime = time.Second

// child is one running process. One goroutine at a time uses its pipes.
type child struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *os.File
	read   *bufio.Reader
	stderr *tail
	exited chan struct{} // closed once cmd.Wait has returned
	served int
	kill1  sync.Once
}

// start starts a child and waits for its greeting.
func start(cfg Config) (*child, error) {
	cmd := exec.Command(cfg.Command[0], cfg.Command[1:]...) //nolint:gosec,noctx // the operator's own command; the pool kills it
	cmd.Env = cfg.environment(os.LookupEnv)
	cmd.WaitDelay = reapTime
	cmd.SysProcAttr = attributes()
	c := &child{cmd: cmd, stderr: &tail{}, exited: make(chan struct{})}
	cmd.Stderr = c.stderr
	var err error
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	// A pipe of our own for stdout: that of the cmd is closed by Wait, which may
	// run while an answer is still being read.
	out, childOut, err := os.Pipe()
	if err != nil {
		_ = c.in.Close()
		return nil, fmt.Errorf("start engine: %w", err)
	}
	c.out, c.read, cmd.Stdout = out, bufio.NewReader(out), childOut
	err = cmd.Start()
	_ = childOut.Close()
	if err != nil {
		_, _ = c.in.Close(), out.Close()
		return nil, fmt.Errorf("start engine: %w", err)
	}
	go func() {
		_ = cmd.Wait() // the state says how it ended
		close(c.exited)
	}()
	if err := c.greeted(cfg.StartTime); err != nil {
		c.kill()
		<-c.exited
		return nil, fmt.Errorf("start engine: %w: %s", err, c.stderr)
	}
	return c, nil
}

// greeted waits for the child's first frame.
func (c *child) greeted(within time.Duration) error {
	late := time.AfterFunc(within, c.kill)
	defer late.Stop()
	var h hello
	if err := readFrame(c.read, &h); err != nil {
		return fmt.Errorf("no greeting: %w", err)
	}
	if h.Protocol != protocol {
		return fmt.Errorf("it speaks protocol %d, not %d", h.Protocol, protocol)
	}
	return nil
}

// call sends a request and reads its reply. An error means that the child is
// of no more use.
func (c *child) call(r request) (reply, error) {
	var answer reply
	if err := writeFrame(c.in, r); err != nil {
		return answer, err
	}
	if err := readFrame(c.read, &answer); err != nil {
		return answer, err
	}
	c.served++
	if answer.ID != r.ID {
		return answer, fmt.Errorf("%w: it answers request %d, not %d", errRubbish, answer.ID, r.ID)
	}
	return answer, nil
}

// kill ends the child at once and frees whoever reads from it. It may be
// called again and from any goroutine.
func (c *child) kill() {
	c.kill1.Do(func() {
		_ = c.cmd.Process.Kill() // an error means that it has ended already
		_, _ = c.in.Close(), c.out.Close()
	})
}

// reason says how a child ended that broke off with err, and reaps it.
func (c *child) reason(err error) string {
	if errors.Is(err, errRubbish) {
		c.kill()
		<-c.exited
		return "the engine answered rubbish (" + err.Error() + ")"
	}
	// A crash is seen first as a closed pipe; its exit follows. One that closes
	// its pipe and lives on is killed.
	late := time.AfterFunc(reapTime, c.kill)
	<-c.exited
	killed := !late.Stop()
	c.kill()
	if killed {
		return "the engine stopped answering"
	}
	return "the engine crashed: " + c.cmd.ProcessState.String() + c.stderr.cause()
}

// tail keeps the last bytes written to it.
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
