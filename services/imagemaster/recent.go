package imagemaster

import (
	"sync"
	"time"

	"imagemill/services/taskdb"
)

const (
	// maxRecent bounds the images of one generation of recent.
	maxRecent = 256
	// recently is how long a generation takes in images, at most.
	recently = 5 * time.Second
)

// recent remembers what images that ended well of late were made into, since most
// are downloaded at once, and a result does not change any more. It is told only
// what taskdb itself has answered, never what an event said. It keeps an image for
// twice recently at most, in two generations, of which the older is dropped whole.
// So an image that another master removed may be looked for in storage for as long.
type recent struct {
	mu         sync.Mutex
	began      time.Time // of the younger generation
	young, old map[string][]taskdb.Rendition
}

// ended remembers the renditions of a finished image.
func (r *recent) ended(now time.Time, id string, made []taskdb.Rendition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	if len(r.young) >= maxRecent {
		r.old, r.young, r.began = r.young, nil, now
	}
	if r.young == nil {
		r.young = map[string][]taskdb.Rendition{}
	}
	r.young[id] = made
}

// of gives the renditions of an image that ended of late.
func (r *recent) of(now time.Time, id string) ([]taskdb.Rendition, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	if made, ok := r.young[id]; ok {
		return made, true
	}
	made, ok := r.old[id]
	return made, ok
}

// gone forgets an image that was removed.
func (r *recent) gone(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, id)
	delete(r.old, id)
}

// turn begins a new generation when the younger one's time is over.
func (r *recent) turn(now time.Time) {
	switch age := now.Sub(r.began); {
	case age >= 2*recently || age < 0:
		r.old, r.young, r.began = nil, nil, now
	case age >= recently:
		r.old, r.young, r.began = r.young, nil, now
	}
}
