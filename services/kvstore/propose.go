package kvstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// proposeTimeout bounds how long a write waits to enter the log.
const proposeTimeout = 10 * time.Second

// leader waits until this node leads, within the configured time.
func (n *node) leader(ctx context.Context) (*raft.Raft, error) {
	if n.cluster != nil {
		return n.leaderAmong(ctx)
	}
	if !n.lead.isOpen() {
		wait, cancel := context.WithTimeout(ctx, n.cfg.LeaderWait)
		defer cancel()
		if err := n.lead.wait(wait); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, ErrNoLeader
		}
	}
	return n.member.Load().raft, nil
}

// leaderAmong does not wait for more than taking over: with others about, one of
// them may lead, and then it is up to the caller to go there.
func (n *node) leaderAmong(ctx context.Context) (*raft.Raft, error) {
	for {
		changed, m := n.cluster.changed.next(), n.member.Load()
		switch {
		case m == nil || n.cluster.resigned.Load():
			return nil, ErrNoLeader
		case n.lead.isOpen():
			return m.raft, nil
		case m.raft.State() != raft.Leader:
			return nil, ErrNoLeader
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// propose writes a command to the log and gives its outcome. An error means
// that it may or may not be carried out, but for ErrNoLeader, which means not.
func (n *node) propose(ctx context.Context, c *command) (*outcome, error) {
	if n.cluster != nil {
		// A leader that resigns waits for what it has begun.
		n.cluster.writing.RLock()
		defer n.cluster.writing.RUnlock()
	}
	r, err := n.leader(ctx)
	if err != nil {
		return nil, err
	}
	return n.apply(r, c)
}

// apply stamps the command with the leader's time and waits for its outcome.
func (n *node) apply(r *raft.Raft, c *command) (*outcome, error) {
	c.now = n.now()
	b, err := c.encode()
	if err != nil {
		return nil, err
	}
	f := r.Apply(b, proposeTimeout)
	if err := f.Error(); err != nil {
		if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			return nil, ErrNoLeader
		}
		return nil, fmt.Errorf("write to the log: %w", err)
	}
	out, ok := f.Response().(*outcome)
	if !ok {
		return nil, fmt.Errorf("write to the log: unexpected answer %T", f.Response())
	}
	return out, nil
}

// verify makes sure that this node leads right now, for consistent reads.
func (n *node) verify(ctx context.Context) error {
	r, err := n.leader(ctx)
	if err != nil {
		return err
	}
	if n.cluster != nil {
		return n.prove(ctx)
	}
	if err := r.VerifyLeader().Error(); err != nil {
		return ErrNoLeader
	}
	return nil
}

// createSession begins a session and starts its TTL.
func (n *node) createSession(ctx context.Context, s *Session) error {
	// Even a write whose outcome stays unknown has a deadline, which clears it up.
	n.deadlines.start(s.ID, s.ttl(), n.now())
	out, err := n.propose(ctx, &command{kind: commandCreate, session: s})
	if err != nil {
		return err
	}
	if out.err != nil {
		return out.err
	}
	n.deadlines.start(s.ID, s.ttl(), n.now())
	return nil
}

// destroySession ends a session; an unknown one is no error.
func (n *node) destroySession(ctx context.Context, id string) error {
	if err := n.settled(ctx); err != nil {
		return err
	}
	if n.fsm.current().session(id) == nil {
		return nil
	}
	out, err := n.propose(ctx, &command{kind: commandDestroy, ids: []string{id}})
	if err != nil {
		return err
	}
	n.deadlines.stop(id)
	return out.err
}

// renewSession gives a session its whole TTL again. It returns nil, without an
// error, for one that is unknown or has expired.
func (n *node) renewSession(ctx context.Context, id string) (*Session, error) {
	if err := n.settled(ctx); err != nil {
		return nil, err
	}
	s := n.fsm.current().session(id)
	if s == nil || s.ttl() > 0 && !n.deadlines.renew(id, n.now()) {
		return nil, nil
	}
	return s, nil
}
