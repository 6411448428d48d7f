package discovery

import (
	"net/http"
	"time"
)

// Observer hears what a Transport sees of the instances. Its methods are called
// while requests wait, from several goroutines, and must be quick.
type Observer interface {
	// Joined says that the instance is in the set now.
	Joined(Instance)
	// Left says that it is no longer.
	Left(Instance)
	// Answered says that the instance has answered a request with this header;
	// took is the time from before the request was sent to the header's arrival.
	Answered(in Instance, header http.Header, took time.Duration)
}

// nobody observes nothing.
type nobody struct{}

// Joined does nothing.
func (nobody) Joined(Instance) {}

// Left does nothing.
func (nobody) Left(Instance) {}

// Answered does nothing.
func (nobody) Answered(Instance, http.Header, time.Duration) {}
