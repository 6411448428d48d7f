package kvstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// handOverTime bounds what a node that stops does for the others.
const handOverTime = 5 * time.Second

// handOver waits for the stop, or for having left, and passes leadership on
// before the API drains, so that nobody has to wait for an election. A node
// that is merely stopped keeps its vote: it is expected back.
func (n *node) handOver(ctx context.Context) error {
	select {
	case <-n.cluster.leaving:
		return nil
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOverTime)
	defer cancel()
	if n.cfg.Cluster.LeaveOnStop {
		if err := n.leave(last); err != nil {
			n.log.Warn("left without telling everybody; the others will miss this node for REAP_AFTER", "error", err)
		}
		return nil
	}
	if err := n.resign(last); err != nil {
		n.log.Info("stopping as leader; the others elect another one", "error", err)
	}
	return nil
}

// resign passes leadership to another voter and waits until one is there. A node
// that does not lead has nothing to pass on.
func (n *node) resign(ctx context.Context) error {
	m := n.member.Load()
	if m == nil || m.raft.State() != raft.Leader {
		return nil
	}
	f := m.raft.GetConfiguration()
	if err := f.Error(); err != nil || len(f.Configuration().Servers) < 2 {
		return err
	}
	// What is shown here from now on might be outdated: the next leader need not
	// wait for a silence.
	n.cluster.resigned.Store(true)
	n.shut()
	// What is under way ends here: afterwards nobody could say how it ended. A
	// leader without a majority steps down soon, which ends it as well.
	n.cluster.writing.Lock()
	n.cluster.writing.Unlock() //nolint:staticcheck // only the wait is wanted
	if err := m.raft.LeadershipTransfer().Error(); err != nil {
		return fmt.Errorf("hand over leadership: %w", err)
	}
	for {
		changed := n.cluster.changed.next()
		if _, ok := n.cluster.leaderPeer(); ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// errLast is returned by leave to who would take the data along.
var errLast = errors.New("this is the only node with a vote, and what it holds would be lost: stop it instead")

// leave takes this node out of the cluster: another one leads, and the leader
// hears that this one's vote is to go.
func (n *node) leave(ctx context.Context) error {
	m, g := n.member.Load(), n.cluster.gossip.Load()
	if m == nil || g == nil {
		return ErrNoLeader
	}
	if n.voters(m) < 2 {
		return errLast
	}
	if err := n.resign(ctx); err != nil {
		// It goes on as leader where it still is one.
		n.cluster.resigned.Store(false)
		n.deadlines.wake()
		return err
	}
	if err := g.Leave(); err != nil {
		return fmt.Errorf("leave gossip: %w", err)
	}
	n.log.Info("left the cluster")
	return nil
}

// voters is the number of voters as this node knows it.
func (n *node) voters(m *member) int {
	f := m.raft.GetConfiguration()
	if f.Error() != nil {
		return 0
	}
	return len(f.Configuration().Servers)
}

// left has the process stop, as nothing is left for it to do.
func (c *cluster) left() { c.leftOnce.Do(func() { close(c.leaving) }) }
