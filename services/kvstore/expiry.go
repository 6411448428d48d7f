package kvstore

import (
	"container/heap"
	"sync"
	"time"
)

// maxExpiryGrace caps how much longer than its TTL a session may live.
const maxExpiryGrace = 500 * time.Millisecond

// deadlines knows when each session expires, by the leader's clock. It is not
// part of the replicated state: renewals do not go through the log, and a new
// leader gives every session its whole TTL again. Safe for concurrent use.
type deadlines struct {
	mu   sync.Mutex
	heap deadlineHeap
	byID map[string]*deadline
	// moved tells the one goroutine that expires sessions to look again.
	moved chan struct{}
}

type deadline struct {
	id  string
	ttl time.Duration
	at  time.Time
	pos int
}

func newDeadlines() *deadlines {
	return &deadlines{byID: map[string]*deadline{}, moved: make(chan struct{}, 1)}
}

// grace is added to a TTL, so that a renewal that was sent in time but was slow
// on its way still counts.
func grace(ttl time.Duration) time.Duration { return min(ttl/10, maxExpiryGrace) }

// reset forgets everything and starts the whole TTL of these sessions anew.
func (d *deadlines) reset(sessions []*Session, now time.Time) {
	d.mu.Lock()
	d.heap, d.byID = nil, map[string]*deadline{}
	d.mu.Unlock()
	for _, s := range sessions {
		d.start(s.ID, s.ttl(), now)
	}
}

// start gives a session its whole TTL from now on. A TTL of 0 never ends.
func (d *deadlines) start(id string, ttl time.Duration, now time.Time) {
	if ttl <= 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	at := now.Add(ttl + grace(ttl))
	if dl := d.byID[id]; dl != nil {
		dl.at = at
		heap.Fix(&d.heap, dl.pos)
	} else {
		dl = &deadline{id: id, ttl: ttl, at: at}
		d.byID[id] = dl
		heap.Push(&d.heap, dl)
	}
	if d.heap[0].id == id {
		d.wake()
	}
}

// renew is start for a session that is known. It reports false for one that is
// not, which is then about to be destroyed.
func (d *deadlines) renew(id string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	dl := d.byID[id]
	if dl == nil {
		return false
	}
	dl.at = now.Add(dl.ttl + grace(dl.ttl))
	heap.Fix(&d.heap, dl.pos)
	return true
}

// stop forgets a session.
func (d *deadlines) stop(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dl := d.byID[id]; dl != nil {
		heap.Remove(&d.heap, dl.pos)
		delete(d.byID, id)
	}
}

// due takes out the sessions that have expired.
func (d *deadlines) due(now time.Time) (expired []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.heap) > 0 && !d.heap[0].at.After(now) {
		dl := heap.Pop(&d.heap).(*deadline)
		delete(d.byID, dl.id)
		expired = append(expired, dl.id)
	}
	return expired
}

// next says how long it is until a session may be due, at most an hour.
func (d *deadlines) next(now time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.heap) == 0 {
		return time.Hour
	}
	return min(max(d.heap[0].at.Sub(now), 0), time.Hour)
}

func (d *deadlines) wake() {
	select {
	case d.moved <- struct{}{}:
	default:
	}
}

// deadlineHeap orders by time, for container/heap.
type deadlineHeap []*deadline

// Len is the number of sessions with a deadline.
func (h deadlineHeap) Len() int { return len(h) }

// Less puts the next to expire first.
func (h deadlineHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

// Swap keeps each deadline's own position up to date.
func (h deadlineHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

// Push appends, for container/heap.
func (h *deadlineHeap) Push(x any) {
	dl := x.(*deadline)
	dl.pos = len(*h)
	*h = append(*h, dl)
}

// Pop takes the last, for container/heap.
func (h *deadlineHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
