package process

import (
	"errors"
	"fmt"
	"time"
)

// cause is why a child was killed.
type cause int

const (
	alive         cause = iota
	noLonger            // of no more use, or already dead
	tooLate             // its picture took too long
	tooMuchMemory       // it holds more than it may
	tooMuchDisk         // it has written more than it may
)

// reason says how a child ended that broke off with err, and reaps it. wall is
// the time that it had.
func (c *child) reason(err error, wall time.Duration) string {
	if errors.Is(err, errRubbish) {
		c.kill(noLonger)
	}
	// A crash is seen first as a closed line; its exit follows. One that closes its
	// line and lives on is killed.
	late := time.AfterFunc(reapTime, func() { c.kill(noLonger) })
	<-c.exited
	silent := !late.Stop()
	switch c.why() {
	case tooLate:
		return fmt.Sprintf("the engine was killed after %s", wall)
	case tooMuchMemory:
		return c.cfg.outOfMemory()
	case tooMuchDisk:
		return fmt.Sprintf("the engine was killed: it wrote more than %s", mebibytes(c.cfg.ScratchBytes))
	case alive, noLonger:
	}
	if errors.Is(err, errRubbish) {
		return "the engine answered rubbish (" + err.Error() + ")"
	}
	if silent {
		return "the engine stopped answering"
	}
	return c.crash()
}

// crash says how a child ended that nobody killed.
func (c *child) crash() string {
	c.kill(noLonger)
	switch {
	case forbidden(c.cmd.ProcessState):
		return "the engine was ended by the kernel: it tried what no picture needs (a process, a connection, another's memory)"
	case c.stderr.outOfMemory():
		return c.cfg.outOfMemory()
	case shot(c.cmd.ProcessState):
		return "the engine was killed from outside, perhaps because the machine had no memory left"
	}
	return "the engine crashed: " + c.cmd.ProcessState.String() + c.stderr.cause()
}
