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
// It does nothing while an election is under way, or won. After an error Raft
// calls its election itself, one to two of its intervals later.
func elections(r *raft.Raft, id raft.ServerID, t transport) func() error {
	if self, ok := t.(*raft.InmemTransport); ok {
		self.Connect(t.LocalAddr(), t)
	}
	return func() error {
		if r.State() != raft.Follower {
			return nil
		}
		// Raft refuses messages of a protocol version that is not its own.
		req := raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{
			ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: t.EncodePeer(id, t.LocalAddr()),
		}}
		var answer raft.TimeoutNowResponse
		return t.TimeoutNow(id, t.LocalAddr(), &req, &answer)
	}
}
