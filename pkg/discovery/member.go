package discovery

import (
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// member is one instance and how it has been doing.
type member struct {
	in      Instance // as it was when it joined
	id, url string
	base    *url.URL
	rt      http.RoundTripper
	pool    *pool

	outstanding atomic.Int64
	// until is when the instance may be used again, in time of the pool; 0 when it
	// is in good standing. Requests read it without the lock.
	until atomic.Int64

	mu       sync.Mutex // guards failures, and changes of until
	failures int        // in a row

	hanging atomic.Bool // it was asked for a sign of life and gave none
	silence silence
	left    time.Duration // when it was gone; guarded by the pool's lock
}

// aside tells whether the member is to be avoided.
func (m *member) aside(now time.Duration) bool {
	return m.hanging.Load() || m.until.Load() > int64(now)
}

// before tells which of two members that are set aside is the better choice.
func (m *member) before(other *member) bool {
	if hangs := m.hanging.Load(); hangs != other.hanging.Load() {
		return !hangs
	}
	return m.until.Load() < other.until.Load()
}

// failed sets the member aside. Requests that fail together count as one failure:
// only the first finds it in use.
func (m *member) failed(cause error) {
	now := m.pool.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.aside(now) {
		return
	}
	pause := m.extend(now)
	m.pool.log.Warn("instance set aside", "service", m.pool.service, "peer", m.id, "for", pause, "error", cause)
}

// probe is called when the member is chosen. If it comes from having been set
// aside, it is set aside anew before the request goes out: one request finds out
// how it does, instead of all.
func (m *member) probe(now time.Duration) {
	if m.until.Load() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.until.Load() != 0 && m.until.Load() <= int64(now) {
		m.extend(now)
	}
}

// extend counts a failure and moves the end; the lock is held.
func (m *member) extend(now time.Duration) time.Duration {
	pause := m.pool.cfg.SetAsideMax
	if m.failures < 16 {
		pause = min(pause, m.pool.cfg.SetAside<<m.failures)
	}
	m.failures++
	m.until.Store(int64(now + pause))
	return pause
}

// worked clears the record.
func (m *member) worked() {
	if m.hanging.Load() {
		m.recovered()
	}
	if m.until.Load() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures = 0
	m.until.Store(0)
	m.pool.log.Info("instance works again", "service", m.pool.service, "peer", m.id)
}
