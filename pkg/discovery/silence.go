package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"
)

// maxCalm bounds how rarely an instance is asked on which only long polls wait:
// every 8 times Silence.
const maxCalm = 3

// silence is how long a member has let requests wait without answering any.
type silence struct {
	mu      sync.Mutex
	waiting map[*attempt]struct{}
	since   time.Duration // no sign of life from here on, where something waits
	calm    int           // questions answered in a row while nothing else was
	asking  bool          // a question is under way
}

// wait adds an attempt. Who comes after a calm time counts anew: the instance has
// had no chance to answer it.
func (m *member) wait(a *attempt) {
	s := &m.silence
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 || s.calm > 0 {
		s.since, s.calm = m.pool.now(), 0
		defer m.pool.stir()
	}
	if s.waiting == nil {
		s.waiting = map[*attempt]struct{}{}
	}
	s.waiting[a] = struct{}{}
}

// waited removes an attempt; an answer is a sign of life.
func (m *member) waited(a *attempt, answered bool) {
	s := &m.silence
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, a)
	if answered {
		s.since, s.calm = m.pool.now(), 0
	}
}

// due tells whether the member is to be asked now, and notes that it is.
func (m *member) due(now time.Duration) bool {
	s := &m.silence
	s.mu.Lock()
	defer s.mu.Unlock()
	silent := len(s.waiting) > 0 && now-s.since >= m.pool.cfg.Silence<<s.calm
	if s.asking || !silent && !m.hanging.Load() {
		return false
	}
	s.asking = true
	return true
}

// next gives the time until the member is to be asked; false for never, as things are.
func (m *member) next(now time.Duration) (time.Duration, bool) {
	s := &m.silence
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case m.hanging.Load():
		return 0, true
	case len(s.waiting) > 0:
		return s.since + m.pool.cfg.Silence<<s.calm - now, true
	}
	return 0, false
}

// stir ends the rest of listen: somebody waits whom it does not know of.
func (p *pool) stir() {
	if !p.resting.CompareAndSwap(true, false) {
		return
	}
	select {
	case p.stirred <- struct{}{}:
	default: // it is about to end
	}
}

// listen asks the members that are silent, until ctx is done. It looks twice in
// Silence at most, and not at all while nobody waits.
func (p *pool) listen(ctx context.Context) {
	if p.cfg.Silence < 0 {
		return
	}
	var questions sync.WaitGroup
	defer questions.Wait()
	pause := max(p.cfg.Silence/2, time.Millisecond)
	look := time.NewTimer(pause)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.stirred:
			look.Reset(pause)
			continue
		case <-look.C:
		}
		// Who comes from here on stirs, unless the next look is soon anyway.
		p.resting.Store(true)
		if next := p.look(ctx, &questions); next <= pause {
			look.Reset(pause)
			p.resting.Store(false)
		} else if next < forever {
			look.Reset(next)
		}
	}
}

// forever is the time until a look that nobody needs.
const forever = time.Duration(math.MaxInt64)

// look asks who is due, and gives the time until the next is.
func (p *pool) look(ctx context.Context, questions *sync.WaitGroup) time.Duration {
	next := forever
	for _, m := range p.heeded() {
		if m.due(p.now()) {
			questions.Go(func() { m.judge(ctx) })
		}
		if wait, ok := m.next(p.now()); ok {
			next = min(next, wait)
		}
	}
	return next
}

// judge asks the member for any answer at all. One that gives none hangs: until it
// answers again it gets no request that another could take, and those that wait
// for it go elsewhere if they can.
func (m *member) judge(ctx context.Context) {
	err := m.ask(ctx)
	s := &m.silence
	s.mu.Lock()
	s.asking = false
	if err == nil {
		s.since, s.calm = m.pool.now(), min(s.calm+1, maxCalm)
	}
	waiting := make([]*attempt, 0, len(s.waiting))
	for a := range s.waiting {
		waiting = append(waiting, a)
	}
	s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		m.recovered()
		return
	case !m.hanging.Swap(true):
		m.pool.log.Warn("instance does not answer, set aside until it does",
			"service", m.pool.service, "peer", m.id, "waiting", len(waiting), "error", err)
	}
	for _, a := range waiting {
		a.giveUp(fmt.Errorf("%w: %w", errSilent, err))
	}
}

// ask wants an answer, whatever its status, on any connection.
func (m *member) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, m.pool.cfg.Silence, errors.New("silent for "+m.pool.cfg.Silence.String()))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+m.pool.cfg.ProbePath, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", m.id, err)
	}
	resp, err := m.rt.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("ask %s: %w", m.id, err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10)) // so that the connection can be used again
	_ = resp.Body.Close()
	return nil
}

// recovered ends the time of a member that was found hanging.
func (m *member) recovered() {
	if m.hanging.Swap(false) {
		m.pool.log.Info("instance answers again", slog.String("service", m.pool.service), slog.String("peer", m.id))
	}
}
