package kvstore

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"imagemill/internal/serve"
)

// parkAfter is how long a query waits where it came in. Parking and taking back
// costs about as much as answering, so what is answered soon is not parked.
const parkAfter = time.Second

// errPark ends the handling of a query that is to wait on elsewhere.
var errPark = errors.New("a query that waits is to be parked")

// napState is what a blocking query knows of its waiting.
type napState struct {
	// until is when it is answered at the latest; zero before that is known.
	until time.Time
	// awake is how long it may wait before it is parked, if parks says that it may be.
	awake time.Duration
	parks bool
	// waiter is the registration that it was parked with.
	waiter *waiter
}

// stay lets a query that cannot be parked wait where it came in.
func (s *Service) stay(c *call, handle func(*call) error) error {
	c.waiter.leave()
	c.napState = napState{until: c.until}
	return s.dispatch(c, handle)
}

// nap is the waiting of a query, which is then carried out from the start, but
// for what has passed of its time.
func (s *Service) nap(c *call, handle func(*call) error) *serve.Nap {
	// c itself leads to all that is to be given up.
	w, begun, until := c.waiter, c.begun, c.until
	return &serve.Nap{
		Until: until,
		Watch: func(wake func()) func() {
			w.call(wake)
			return w.leave
		},
		Answer: func(rw http.ResponseWriter, r *http.Request) *serve.Nap {
			q, _ := url.ParseQuery(r.URL.RawQuery) // it was in order before
			c := &call{s: s, w: rw, r: r, q: q, begun: begun, napState: napState{until: until, parks: true}}
			err := s.dispatch(c, handle)
			if errors.Is(err, errPark) {
				return s.nap(c, handle)
			}
			if err != nil {
				s.writeError(c, err)
			}
			return nil
		},
	}
}
