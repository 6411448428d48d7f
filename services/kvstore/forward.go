package kvstore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"imagemill/pkg/discovery"
)

// headerForwarded carries the name of the node that a client asked, on a request
// that it has passed on to the leader. Such a request is not passed on again.
const headerForwarded = "Imagemill-Forwarded"

// maxForwardBody bounds what is kept of a body to send it to a leader, in bytes.
// It is well above what any route takes.
const maxForwardBody = 4 << 20

// errUnknown is the answer where a leader was lost while it carried out what
// must not be done twice.
var errUnknown = errors.New("the leader was lost while it carried this out; it may or may not have been done")

// rerun says that nothing was carried out, so that another try does no harm.
var errRerun = errors.New("the leader did not carry this out")

// relayState is what a request that may be passed on carries along.
type relayState struct {
	// leaderless is since when nobody has taken it.
	leaderless time.Time
}

// dispatch has a request carried out where it belongs: here, or by the leader.
// What surely was not carried out is tried again, with whoever leads by then,
// until there has been no leader for LEADER_WAIT.
func (s *Service) dispatch(c *call, handle func(*call) error) error {
	if s.node.cluster == nil || !replicated(c.r.URL.Path) {
		return handle(c)
	}
	if c.r.Method == http.MethodGet {
		if q, err := c.readQuery(); err != nil || q.stale {
			c.w = &contactWriter{c.w, s.node.cluster.contact}
			return handle(c)
		}
	}
	body, whole, err := s.keepBody(c)
	if err != nil || !whole {
		return errors.Join(err, handle(c)) // which refuses it
	}
	if c.until.IsZero() {
		c.begun = time.Now() // the body is in hand
	}
	for {
		begun := time.Now()
		err := s.attempt(c, handle, body)
		if !errors.Is(err, ErrNoLeader) && !errors.Is(err, errRerun) || !c.blocks() && time.Since(c.begun) > 2*relayTimeout {
			return err
		}
		if c.r.Header.Get(headerForwarded) != "" {
			c.w.Header().Set(discovery.NotCarriedOutHeader, "1")
			return ErrNoLeader
		}
		if c.leaderless.IsZero() || time.Since(begun) > lostGrace {
			c.leaderless = time.Now()
		}
		if err := s.pause(c); err != nil {
			return err
		}
	}
}

// attempt carries a request out here if this node leads, or passes it on.
func (s *Service) attempt(c *call, handle func(*call) error, body []byte) error {
	c.r.Body = io.NopCloser(bytes.NewReader(body))
	m := s.node.member.Load()
	switch {
	case m == nil:
		return ErrNoLeader
	case s.node.lead.isOpen() || m.raft.State() == raft.Leader || c.r.Header.Get(headerForwarded) != "":
		return handle(c)
	}
	if to, ok := s.node.cluster.leaderPeer(); ok {
		return s.relay(c, to, body)
	}
	return ErrNoLeader
}

// pause waits for a change of the leader, and a moment at most, as a leader that
// refuses may be about to take over. It fails when there was none for too long.
func (s *Service) pause(c *call) error {
	left := s.cfg.LeaderWait - time.Since(c.leaderless)
	if left <= 0 {
		return ErrNoLeader
	}
	changed := s.node.cluster.changed.next()
	t := time.NewTimer(min(left, s.cfg.heartbeat()/8))
	defer t.Stop()
	select {
	case <-changed:
		return nil
	case <-t.C:
		return nil
	case <-c.ctx().Done():
		return c.ctx().Err()
	}
}

// keepBody reads the body, so that it can be sent more than once; false for one
// that is larger than anything that is taken, which stays readable.
func (s *Service) keepBody(c *call) (body []byte, whole bool, err error) {
	if c.r.Method == http.MethodGet || c.r.Body == nil || c.r.ContentLength == 0 {
		return nil, true, nil
	}
	if c.r.ContentLength > maxForwardBody {
		return nil, false, nil
	}
	body, err = io.ReadAll(io.LimitReader(c.r.Body, maxForwardBody+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, true, badRequest("the body broke off before its end")
	case err != nil:
		return nil, true, badRequest("the body could not be read: %v", err)
	case len(body) > maxForwardBody:
		c.r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), c.r.Body), c.r.Body}
		return nil, false, nil
	}
	return body, true, nil
}

// replicated reports whether a path is about the state that all nodes share.
func replicated(path string) bool {
	for _, prefix := range []string{"/v1/kv", "/v1/session", "/v1/txn"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// repeatable reports whether carrying a request out twice does no harm: reads,
// and renewing or ending a session, whose ID is never used again. A plain PUT is
// not among them, as it would undo what others wrote after the first time.
func repeatable(r *http.Request) bool {
	return r.Method == http.MethodGet ||
		strings.HasPrefix(r.URL.Path, "/v1/session/renew/") || strings.HasPrefix(r.URL.Path, "/v1/session/destroy/")
}

// contactWriter puts into the answer to a stale read what this node knows of the
// leader; a handler takes itself for the leader's.
type contactWriter struct {
	http.ResponseWriter
	contact func() (known bool, last time.Duration)
}

// WriteHeader sends the header.
func (w *contactWriter) WriteHeader(status int) {
	if h := w.Header(); h.Get("X-Consul-Knownleader") != "" {
		known, last := w.contact()
		h.Set("X-Consul-Knownleader", strconv.FormatBool(known))
		h.Set("X-Consul-Lastcontact", strconv.FormatInt(last.Milliseconds(), 10))
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap gives the writer below.
func (w *contactWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// contact says, for a read of this node's own state, whether a leader is known,
// and how long ago it was heard of.
func (c *cluster) contact() (known bool, last time.Duration) {
	m := c.member()
	if m == nil {
		return false, 0
	}
	_, id := m.raft.LeaderWithID()
	if at := m.raft.LastContact(); id != m.id && !at.IsZero() {
		last = time.Since(at)
	}
	return id != "", last
}

// lags reports whether this node may be behind an index that a client has seen
// elsewhere, so that it is worth waiting for.
func (s *Service) lags() bool { return s.node.cluster != nil && !s.node.lead.isOpen() }

// following reports whether another node leads and can be asked.
func (s *Service) following() bool {
	if s.node.cluster == nil {
		return false
	}
	_, ok := s.node.cluster.leaderPeer()
	return ok
}

// homeNode is the name of the node that a request was sent to: that of this one,
// or of another that passed it on.
func (s *Service) homeNode(c *call) string {
	if from := c.r.Header.Get(headerForwarded); s.isNode(from) {
		return from
	}
	return s.cfg.NodeName
}

// nodeNamed gives name if a node of the cluster is called so, else this one's.
func (s *Service) nodeNamed(name string) string {
	if s.isNode(name) {
		return name
	}
	return s.cfg.NodeName
}

func (s *Service) isNode(name string) bool {
	return name != "" && s.node.cluster != nil && s.node.cluster.hasMember(name)
}

// watchLeader rings at every change of Raft's leader.
func (c *cluster) watchLeader(ctx context.Context, r *raft.Raft) {
	seen := make(chan raft.Observation, 16)
	o := raft.NewObserver(seen, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.LeaderObservation, raft.RaftState:
			return true
		default:
			return false
		}
	})
	r.RegisterObserver(o)
	defer r.DeregisterObserver(o)
	for {
		select {
		case <-seen:
			c.changed.ring()
		case <-ctx.Done():
			return
		}
	}
}
