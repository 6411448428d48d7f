package kvstore

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// maxSessionBody bounds the body of a session to be created, in bytes.
const maxSessionBody = 64 << 10

// lockDelayUnit is the duration below which a lock delay was meant as seconds.
const lockDelayUnit = time.Microsecond

// sessionCreate begins a session. Instances that announce themselves call it,
// and locks. A repeat makes another session.
func (s *Service) sessionCreate(c *call) error {
	sess, err := s.newSession(c)
	if err != nil {
		return err
	}
	if err := c.known(); err != nil {
		return err
	}
	if err := sess.validate(s.nodeNamed(sess.Node), s.cfg.SessionTTLMin); err != nil {
		return err
	}
	sess.ID, sess.CreateIndex, sess.ModifyIndex = uuid.NewString(), 0, 0
	if err := s.node.createSession(c.ctx(), sess); err != nil {
		return err
	}
	return c.json(struct{ ID string }{sess.ID})
}

// newSession reads the body over Consul's defaults. As in Consul, a body that
// does not announce its length is not looked at.
func (s *Service) newSession(c *call) (*Session, error) {
	in := sessionBody{Session{
		Node: s.homeNode(c), LockDelay: defaultLockDelay, Behavior: behaviorRelease,
		NodeChecks: []string{serfCheck}, Checks: []string{serfCheck},
	}}
	if c.r.ContentLength > 0 {
		body, err := c.body(maxSessionBody, "limits")
		if err != nil {
			return nil, err
		}
		if err := json.NewDecoder(bytes.NewReader(body)).Decode(&in); err != nil {
			return nil, badRequest("Request decode failed: %v", err)
		}
	}
	out := &in.Session
	// Checks is the old name of NodeChecks: an empty list of either leans on no
	// check, and the default is shown under the new name only.
	switch {
	case len(out.Checks) == 0:
		out.NodeChecks = []string{}
	case len(out.Checks) == 1 && out.Checks[0] == serfCheck, len(out.NodeChecks) == 0:
		out.Checks = nil
	}
	return out, nil
}

// sessionBody is a session as clients send it.
type sessionBody struct{ Session }

// UnmarshalJSON reads the session over what is there. Its lock delay is a
// duration as text, or a number of nanoseconds.
func (b *sessionBody) UnmarshalJSON(data []byte) error {
	type Alias Session
	in := struct {
		LockDelay any
		*Alias
	}{Alias: (*Alias)(&b.Session)}
	if err := json.Unmarshal(data, &in); err != nil || in.LockDelay == nil {
		return err
	}
	var err error
	b.LockDelay, err = lockDelay(in.LockDelay)
	return err
}

// lockDelay reads what a client sent; less than a microsecond was meant as
// seconds. What is neither text nor number is no delay, as in Consul.
func lockDelay(v any) (d time.Duration, err error) {
	switch v := v.(type) {
	case string:
		if d, err = time.ParseDuration(v); err != nil {
			return 0, err
		}
	case float64:
		d = time.Duration(min(max(v, -float64(maxSessionTTL)), float64(maxSessionTTL)))
	}
	if d < lockDelayUnit {
		d *= time.Second
	}
	return d, nil
}

// sessionID gives the ID at the end of the path.
func (c *call) sessionID(prefix string) (string, error) {
	id := c.rest(prefix)
	if id == "" {
		return "", badRequest("Missing session")
	}
	return id, nil
}

// sessionDestroy ends a session and what it holds. Repeating it does nothing.
func (s *Service) sessionDestroy(c *call) error {
	id, err := c.sessionID("/v1/session/destroy/")
	if err != nil {
		return err
	}
	if err := c.known(); err != nil {
		return err
	}
	if err := s.node.destroySession(c.ctx(), id); err != nil {
		return err
	}
	return c.json(true)
}

// sessionRenew starts the session's TTL again; 404 when it is gone.
func (s *Service) sessionRenew(c *call) error {
	if _, err := c.readQuery(); err != nil {
		return err
	}
	id, err := c.sessionID("/v1/session/renew/")
	if err != nil {
		return err
	}
	if err := c.known(); err != nil {
		return err
	}
	sess, err := s.node.renewSession(c.ctx(), id)
	if err != nil {
		return err
	}
	if sess == nil {
		return &httpError{http.StatusNotFound, "Session id '" + id + "' not found"}
	}
	return c.json([]*Session{sess})
}

// sessionInfo answers a list of one session, or an empty one.
func (s *Service) sessionInfo(c *call) error {
	q, err := c.readQuery()
	if err != nil {
		return err
	}
	id, err := c.sessionID("/v1/session/info/")
	if err != nil {
		return err
	}
	return s.sessionsOf(c, q, func(v *view) []*Session {
		if sess := v.session(id); sess != nil {
			return []*Session{sess}
		}
		return []*Session{}
	})
}

// sessionNode answers the sessions of one node.
func (s *Service) sessionNode(c *call) error {
	q, err := c.readQuery()
	if err != nil {
		return err
	}
	name := c.rest("/v1/session/node/")
	if name == "" {
		return badRequest("Missing node name")
	}
	return s.sessionsOf(c, q, func(v *view) []*Session { return v.allSessions(name) })
}

// sessionList answers all sessions.
func (s *Service) sessionList(c *call) error {
	q, err := c.readQuery()
	if err != nil {
		return err
	}
	return s.sessionsOf(c, q, func(v *view) []*Session { return v.allSessions("") })
}

// sessionsOf answers with sessions, blocking on the index of all of them.
func (s *Service) sessionsOf(c *call, q query, pick func(*view) []*Session) error {
	if err := c.known(); err != nil {
		c.meta(0, false) // Consul tells even here what it knows: nothing
		return err
	}
	var picked []*Session
	err := s.answer(c, q, func() *waiter { return s.node.fsm.sessions.watch("", true) }, func(v *view) indexes {
		picked = pick(v)
		return indexes{v.sessionIndex, v.sessionIndex}
	})
	if err != nil {
		return err
	}
	return c.json(picked)
}
