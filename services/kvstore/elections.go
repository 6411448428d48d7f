package kvstore

import (
	"time"

	"github.com/hashicorp/raft"
)

// restfulHeartbeat is Raft's own interval on a node that is alone. As its
// leader Raft looks after its lease that often, for ever, which at an interval
// that makes for a quick election costs more than all else on an idle machine.
const restfulHeartbeat = time.Second

// elections gives what calls an election at once on a node that is alone and has
// nobody to hear from first, in the way in which a leader hands over to another.
// It does nothing while an election is under way, or won.
func elections(r *raft.Raft, id raft.ServerID, t transport) func() {
	if self, ok := t.(*raft.InmemTransport); ok {
		self.Connect(t.LocalAddr(), t)
	}
	return func() {
		if r.State() == raft.Follower {
			var answer raft.TimeoutNowResponse
			// Without an answer Raft calls its election itself, a little later.
			_ = t.TimeoutNow(id, t.LocalAddr(), &raft.TimeoutNowRequest{}, &answer)
		}
	}
}
