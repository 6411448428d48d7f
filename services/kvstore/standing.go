package kvstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// standingPath is where nodes ask each other whom they follow. Only nodes call
// it; it may be repeated freely.
const standingPath = "/v1/internal/standing"

// standing is what a node says of its place in Raft.
type standing struct {
	Term   uint64
	Leader string
	// Contact is how long ago it heard of the leader.
	Contact time.Duration
}

// A leader that was paused, or cut off, goes on believing in itself until it
// looks at its clock. Raft's own check may be answered by what a follower said
// before the pause, so a leader asks here: once a majority, itself included, has
// answered from within its term, nobody else had been elected when it began to
// ask, and what it shows since holds. That proof needs no clock.
//
// The answers also carry how long ago a follower heard of the leader. It votes
// for nobody else for one heartbeat timeout after that; so long, less a part for
// clocks that differ in pace, default reads need no further proof.

// rounds shares one round of questions among all who wait for the next.
type rounds struct {
	mu      sync.Mutex
	next    *round
	running bool
	until   time.Time // default reads need no proof until then
	epoch   int       // counts loss of leadership: a round from before proves nothing
	done    sync.WaitGroup
}

type round struct {
	over chan struct{}
	err  error
}

// trusted reports whether a default read may be answered without a proof.
func (q *rounds) trusted(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return now.Before(q.until)
}

// void takes the trust away: this node does not lead any more, or will not soon.
func (q *rounds) void() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.until = time.Time{}
	q.epoch++
}

// stop waits for the last round.
func (q *rounds) stop() { q.done.Wait() }

// prove waits for a round that begins after the call. ask makes one and says how
// long it may be trusted.
func (q *rounds) prove(ctx context.Context, ask func() (time.Time, error)) error {
	q.mu.Lock()
	if q.next == nil {
		q.next = &round{over: make(chan struct{})}
	}
	mine := q.next
	if !q.running {
		q.running = true
		q.done.Go(func() { q.work(ask) })
	}
	q.mu.Unlock()
	select {
	case <-mine.over:
		return mine.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// work makes rounds as long as somebody waits for one.
func (q *rounds) work(ask func() (time.Time, error)) {
	for {
		q.mu.Lock()
		r, epoch := q.next, q.epoch
		if q.next = nil; r == nil {
			q.running = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		until, err := ask()
		q.mu.Lock()
		if err == nil && epoch == q.epoch && until.After(q.until) {
			q.until = until
		}
		q.mu.Unlock()
		r.err = err
		close(r.over)
	}
}

// errStanding is wrapped by why a leader could not prove that it is one.
var errStanding = errors.New("no majority follows this node")

// ask asks the other voters until a majority has answered.
func (c *cluster) ask() (time.Time, error) {
	m, begun, beat := c.member(), time.Now(), c.cfg.heartbeat()
	term, f := m.raft.CurrentTerm(), m.raft.GetConfiguration()
	if err := f.Error(); err != nil || m.raft.State() != raft.Leader || term != c.ledTerm.Load() {
		return time.Time{}, errors.Join(errStanding, err)
	}
	var others []raft.ServerID
	voters := 0
	for _, s := range f.Configuration().Servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		if voters++; s.ID != m.id {
			others = append(others, s.ID)
		}
	}
	needed := voters/2 + 1
	if len(others) < voters {
		needed-- // this node's own voice
	}
	ctx, cancel := context.WithTimeout(context.Background(), max(2*beat, time.Second))
	defer cancel()
	answers := make(chan *standing, len(others))
	for _, id := range others {
		go func() { answers <- c.askOne(ctx, id) }()
	}
	var heard []time.Time
	for range others {
		if len(heard) >= needed {
			break
		}
		a := <-answers
		if a == nil || a.Term != term {
			continue
		}
		if a.Leader != string(m.id) {
			a.Contact = beat // in the term, but not a follower yet: no trust
		}
		heard = append(heard, begun.Add(-a.Contact))
	}
	if len(heard) < needed {
		return time.Time{}, errStanding
	}
	oldest := slices.MinFunc(append(heard, begun), time.Time.Compare)
	return oldest.Add(beat - beat/8), nil
}

// askOne gives a node's standing, nil when it does not answer.
func (c *cluster) askOne(ctx context.Context, id raft.ServerID) *standing {
	p, ok := c.peerByID(id)
	if !ok || p.api == "" {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.api+standingPath, nil)
	if err != nil {
		return nil
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil
	}
	defer func() { _ = resp.Body.Close() }()
	a := &standing{}
	if resp.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(resp.Body, 4096)).Decode(a) != nil {
		return nil
	}
	return a
}

// standing answers another node's question.
func (s *Service) standing(c *call) error {
	m := s.node.member.Load()
	if m == nil {
		return ErrNoLeader
	}
	_, leader := m.raft.LeaderWithID()
	a := standing{Leader: string(leader), Contact: time.Since(m.raft.LastContact())}
	// Read last: whatever was said before it held in this term or an earlier one.
	a.Term = m.raft.CurrentTerm()
	return c.json(a)
}

// settled is leader for who reads this node's state: it also makes sure that
// no other node leads.
func (n *node) settled(ctx context.Context) error {
	if _, err := n.leader(ctx); err != nil || n.cluster == nil || n.cluster.rounds.trusted(time.Now()) {
		return err
	}
	return n.prove(ctx)
}

// prove makes sure that this node led when it was called.
func (n *node) prove(ctx context.Context) error {
	err := n.cluster.rounds.prove(ctx, n.cluster.ask)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("%w (%w)", ErrNoLeader, err)
	}
	return nil
}
