package kvstore

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// The time that a blocking query takes at most, when it says nothing, and the
// part of it that is added at random so that many do not end together.
const (
	defaultWait = 5 * time.Minute
	maxWait     = 10 * time.Minute
	waitJitter  = 16
)

// query is how a read is to be answered: the consistency and blocking
// parameters, the same for every GET.
type query struct {
	index      uint64
	wait       time.Duration
	consistent bool
	stale      bool
}

// readQuery reads the parameters; what is malformed is the client's fault.
func (c *call) readQuery() (query, error) {
	q := query{consistent: c.has("consistent"), stale: c.has("stale")}
	if text := c.q.Get("max_stale"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			return q, badRequest("Invalid max_stale value %q", text)
		}
		q.stale = q.stale || d > 0
	}
	if q.consistent && q.stale {
		return q, badRequest("Cannot specify ?stale with ?consistent, conflicting semantics.")
	}
	if c.has("cached") && q.consistent {
		return q, badRequest("Cannot specify ?cached with ?consistent, conflicting semantics.")
	}
	if err := c.cacheControl(); err != nil {
		return q, err
	}
	return q, q.readBlocking(c)
}

// readBlocking reads for which index to wait, and how long.
func (q *query) readBlocking(c *call) (err error) {
	if text := c.q.Get("wait"); text != "" {
		if q.wait, err = time.ParseDuration(text); err != nil {
			return badRequest("Invalid wait time")
		}
	}
	if text := c.q.Get("index"); text != "" {
		if q.index, err = strconv.ParseUint(text, 10, 64); err != nil {
			return badRequest("Invalid index")
		}
	}
	if q.wait <= 0 {
		q.wait = defaultWait
	}
	q.wait = min(q.wait, maxWait)
	q.wait += rand.N(q.wait/waitJitter + 1)
	return nil
}

// cacheControl refuses what Consul cannot read. Nothing is cached here, so what
// it says has no effect.
func (c *call) cacheControl() error {
	header := c.r.Header.Get("Cache-Control")
	if header == "" {
		return nil
	}
	for part := range strings.SplitSeq(strings.ToLower(header), ",") {
		name, seconds, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || name != "max-age" && name != "stale-if-error" {
			continue
		}
		if _, err := strconv.Atoi(seconds); err != nil {
			return badRequest("Invalid Cache-Control header.")
		}
	}
	return nil
}

// answer reads the state, and where the query carries an index waits for the
// first reading whose index has passed it. It gives up waiting, with the state
// as it is, when the time is up or the server drains, and fails when the client
// has left. An index that this store has not reached yet comes from another
// store's life: that is answered at once, so that the client starts anew.
//
// On success the meta headers are set. read must leave its result where the
// caller finds it; it is called again for every change of the key or prefix.
func (s *Service) answer(c *call, q query, w func() *waiter, read func(*view) indexes) error {
	if err := c.known(); err != nil {
		return err
	}
	if q.index == 0 {
		v, err := s.state(c, q)
		if err != nil {
			return err
		}
		c.meta(read(v).reported, s.node.lead.isOpen())
		return nil
	}
	if c.until.IsZero() {
		c.until = c.begun.Add(q.wait)
	}
	left := time.Until(c.until)
	if c.parks = c.parks && left > 2*c.awake && !isClosed(s.draining(c.ctx())); c.parks {
		left = c.awake
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	for {
		done, err := s.answerOnce(c, q, w(), read, timer.C)
		if done || err != nil {
			return err
		}
	}
}

// answerOnce reads once and answers, or waits for the next change.
func (s *Service) answerOnce(c *call, q query, w *waiter, read func(*view) indexes, timeUp <-chan time.Time) (bool, error) {
	defer func() {
		if c.waiter != w {
			w.leave()
		}
	}()
	v, err := s.state(c, q)
	if err != nil {
		return false, err
	}
	ix := read(v)
	if ix.changed <= q.index && (q.index <= max(v.applied, 1) || s.lags()) {
		select {
		case <-w.changed():
			return false, nil
		case <-timeUp:
			if c.parks {
				c.waiter = w
				return false, errPark
			}
		case <-s.draining(c.ctx()):
		case <-c.ctx().Done():
			return false, c.ctx().Err()
		}
		// Nothing has changed, but what is reported may have moved on.
		ix = read(s.node.fsm.current())
	}
	c.meta(ix.reported, s.node.lead.isOpen())
	return true, nil
}

// state gives the view that a query may be answered from.
func (s *Service) state(c *call, q query) (*view, error) {
	switch {
	case q.stale:
	case q.consistent:
		if err := s.node.verify(c.ctx()); err != nil {
			return nil, err
		}
	default:
		if err := s.node.settled(c.ctx()); err != nil {
			return nil, err
		}
	}
	return s.node.fsm.current(), nil
}
