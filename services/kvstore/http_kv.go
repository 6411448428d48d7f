package kvstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// handleKV serves /v1/kv/{key}: services, operators and consul's tools call it.
// The key is all of the decoded path behind the prefix. Even a write is refused
// when the parameters of a read are wrong, as in Consul.
func (s *Service) handleKV(c *call) error {
	key := c.rest("/v1/kv/")
	q, err := c.readQuery()
	if err != nil {
		return err
	}
	switch c.r.Method {
	case http.MethodGet:
		switch {
		case c.has("keys"):
			return s.kvKeys(c, q, key)
		case c.has("recurse"):
			return s.kvList(c, q, key)
		}
		return s.kvGet(c, q, key)
	case http.MethodDelete:
		return s.kvDelete(c, key)
	default:
		return s.kvPut(c, key)
	}
}

// missingKey is the answer to a call that needs a key.
func missingKey() error { return badRequest("Missing key name") }

// kvGet answers one entry in a list, its bytes for ?raw, or 404 without a body.
func (s *Service) kvGet(c *call, q query, key string) error {
	if key == "" {
		return missingKey()
	}
	var e *Entry
	err := s.answer(c, q, func() *waiter { return s.node.fsm.kv.watch(key, false) }, func(v *view) (ix indexes) {
		e, ix = v.get(key)
		return ix
	})
	switch {
	case err != nil:
		return err
	case e == nil:
		c.w.WriteHeader(http.StatusNotFound)
		return nil
	case !c.has("raw"):
		return c.json([]*Entry{e})
	}
	h := c.w.Header()
	// Whoever opens this in a browser must not run what somebody stored.
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox")
	c.send(http.StatusOK, "text/plain", e.Value)
	return nil
}

// kvList answers all entries with a prefix, or 404 if there are none.
func (s *Service) kvList(c *call, q query, prefix string) error {
	var entries []*Entry
	err := s.answer(c, q, func() *waiter { return s.node.fsm.kv.watch(prefix, true) }, func(v *view) (ix indexes) {
		entries, ix = v.list(prefix)
		return ix
	})
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		c.w.WriteHeader(http.StatusNotFound)
		return nil
	}
	return c.json(entries)
}

// kvKeys answers the names of all entries with a prefix; 404 if there are none,
// but an empty list for the empty prefix.
func (s *Service) kvKeys(c *call, q query, prefix string) error {
	separator := c.q.Get("separator")
	if !c.has("separator") {
		separator = c.q.Get("seperator") //nolint:misspell // Consul's old spelling
	}
	var names []string
	err := s.answer(c, q, func() *waiter { return s.node.fsm.kv.watch(prefix, true) }, func(v *view) (ix indexes) {
		names, ix = v.keys(prefix, separator)
		return ix
	})
	if err != nil {
		return err
	}
	if len(names) == 0 && prefix != "" {
		c.w.WriteHeader(http.StatusNotFound)
		return nil
	}
	return c.json(names)
}

// kvPut writes the body, at most MaxValue bytes, and answers true, or false
// where ?cas, ?acquire or ?release did not allow it.
func (s *Service) kvPut(c *call, key string) error {
	if key == "" {
		return missingKey()
	}
	if err := c.exclusive("cas", "acquire", "release"); err != nil {
		return err
	}
	o := Op{Verb: verbSet, Key: key}
	var err error
	if o.Flags, err = c.number("flags"); err != nil {
		return err
	}
	switch {
	case c.has("cas"):
		o.Verb = verbCAS
		if o.Index, err = c.number("cas"); err != nil {
			return err
		}
	case c.has("acquire"):
		o.Verb, o.Session = verbLock, c.q.Get("acquire")
	case c.has("release"):
		o.Verb, o.Session = verbUnlock, c.q.Get("release")
	}
	if o.Value, err = c.body(MaxValue, "kv_max_value_size"); err != nil {
		return err
	}
	return s.write(c, o)
}

// kvDelete deletes a key, or all keys with a prefix for ?recurse.
func (s *Service) kvDelete(c *call, key string) error {
	if err := c.exclusive("recurse", "cas"); err != nil {
		return err
	}
	o := Op{Verb: verbDelete, Key: key}
	var err error
	switch {
	case c.has("recurse"):
		o.Verb = verbDeleteTree
	case key == "":
		return missingKey()
	case c.has("cas"):
		o.Verb = verbDeleteCAS
		if o.Index, err = c.number("cas"); err != nil {
			return err
		}
	}
	return s.write(c, o)
}

func (s *Service) write(c *call, o Op) error {
	if err := c.known(); err != nil {
		return err
	}
	out, err := s.node.propose(c.ctx(), &command{kind: commandKV, ops: []Op{o}})
	if err != nil {
		return err
	}
	if out.err != nil {
		return consulError("raft apply failed: %v", out.err)
	}
	return c.json(out.ok)
}

// exclusive refuses parameters that contradict each other.
func (c *call) exclusive(names ...string) error {
	found := 0
	for _, name := range names {
		if c.has(name) {
			found++
		}
	}
	if found > 1 {
		return badRequest("Conflicting flags: %s", c.q.Encode())
	}
	return nil
}

// body reads the request's body, refusing more than limit bytes unread where
// its length is announced.
func (c *call) body(limit int64, setting string) ([]byte, error) {
	tooLarge := func(size string) error {
		return &httpError{http.StatusRequestEntityTooLarge, fmt.Sprintf(
			"Request body%s too large, max size: %d bytes. See https://www.consul.io/docs/agent/config/config-files#%s.",
			size, limit, setting)}
	}
	if c.r.ContentLength > limit {
		return nil, tooLarge(fmt.Sprintf("(%d bytes)", c.r.ContentLength))
	}
	var buf bytes.Buffer
	if c.r.ContentLength > 0 {
		buf.Grow(int(c.r.ContentLength) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(c.w, c.r.Body, limit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge("")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, badRequest("the body broke off before its end")
	case err != nil:
		return nil, badRequest("the body could not be read: %v", err)
	}
	return emptyToNil(buf.Bytes()), nil
}
