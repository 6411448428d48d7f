package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"imagemill/services/worker/engine/sandbox"
)

// reapTime is how long the end of a killed child's stderr is waited for.
const reapTime = time.Second

// child is one running process. One goroutine at a time uses its line.
type child struct {
	cfg     Config
	cmd     *exec.Cmd
	wire    *wire
	dir     string // where it writes
	stderr  *tail
	exited  chan struct{} // closed once cmd.Wait has returned
	sandbox []sandbox.State
	about   About
	served  int
	watch   watch
	pool    context.Context // ends with the pool
	free    chan struct{}   // closed when nobody works with it any more, nor will
	leaving bool            // the desk's: it takes no more pictures
	idled   bool            // the desk's: it was found dead, with no picture in hand
	rested  bool            // the desk's: it was ended because there was nothing to do
	begun   int64           // bytes in memory when it had greeted; 0 if that is not known

	mu     sync.Mutex
	killed cause
}

// start starts a child with a folder of its own in root, and waits for its
// greeting.
func start(cfg Config, root string, number uint64) (*child, error) {
	c := &child{
		cfg: cfg, dir: filepath.Join(root, strconv.FormatUint(number, 10)), stderr: &tail{}, exited: make(chan struct{}),
		free: make(chan struct{}),
	}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	if err := c.run(); err != nil {
		_ = os.Remove(c.dir) // it is empty
		return nil, fmt.Errorf("start engine: %w", err)
	}
	if err := c.greeted(); err != nil {
		c.bury()
		return nil, fmt.Errorf("start engine: %w%s", err, withColon(c.stderr.String()))
	}
	c.begun = c.watch.holds(c)
	return c, nil
}

func withColon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// run starts the process.
func (c *child) run() error {
	cmd := exec.Command(c.cfg.Command[0], c.cfg.Command[1:]...) //nolint:gosec,noctx // the operator's own command; the pool kills it
	cmd.Env = c.cfg.environment(os.LookupEnv)
	cmd.WaitDelay = reapTime
	cmd.SysProcAttr = attributes()
	cmd.Stderr = c.stderr
	wire, started, err := attach(cmd)
	if err != nil {
		return err
	}
	err = cmd.Start()
	started()
	if err != nil {
		wire.close()
		return err
	}
	c.cmd, c.wire = cmd, wire
	go func() {
		_ = cmd.Wait() // the state says how it ended
		close(c.exited)
	}()
	return nil
}

// greeted tells the child what it is left with and waits for its first frame.
func (c *child) greeted() error {
	late := time.AfterFunc(c.cfg.StartTime, func() { c.kill(tooLate) })
	defer late.Stop()
	frame, err := appendFrame(nil, setup{Protocol: protocol, Dir: c.dir, Sandbox: c.cfg.sandbox(c.dir)})
	if err != nil {
		return err
	}
	var h hello
	if err = c.wire.send(frame, nil); err == nil {
		err = readFrame(c.wire.read, &h)
	}
	if err != nil {
		return fmt.Errorf("no greeting: %w", err)
	}
	if h.Protocol != protocol {
		return fmt.Errorf("it speaks protocol %d, not %d", h.Protocol, protocol)
	}
	c.sandbox, c.about = h.Sandbox, h.About
	return c.cfg.fits(h.About.Version)
}

// call sends a request and reads its reply. An error means that the child is
// of no more use.
func (c *child) call(p *parcel) (reply, error) {
	var answer reply
	if err := c.wire.send(p.frames, p.files); err != nil {
		return answer, err
	}
	if err := readFrame(c.wire.read, &answer); err != nil {
		return answer, err
	}
	c.served++
	if answer.ID != p.id {
		return answer, fmt.Errorf("%w: it answers request %d, not %d", errRubbish, answer.ID, p.id)
	}
	return answer, nil
}

// kill ends the child at once and frees whoever reads from it. The first cause
// counts. It may be called again and from any goroutine.
func (c *child) kill(why cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killed != alive {
		return
	}
	c.killed = why
	_ = c.cmd.Process.Kill() // an error means that it has ended already
	c.wire.close()
}

// gone reports whether the process has ended.
func (c *child) gone() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// why is the cause for which it was killed.
func (c *child) why() cause {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.killed
}

// bury ends the child if it lives, and removes what it leaves behind.
func (c *child) bury() {
	c.kill(noLonger)
	<-c.exited
	c.watch.close()
	// An error leaves a folder to the end of the pool, which removes all.
	_ = os.RemoveAll(c.dir)
}
