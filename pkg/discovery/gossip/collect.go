package gossip

import (
	"context"

	"github.com/hashicorp/serf/serf"

	"imagemill/pkg/discovery"
)

// refresh makes the set anew from Serf's members whenever they may have changed:
// an event that was dropped costs nothing, since the next one brings all.
func (a *agent) refresh(ctx context.Context) {
	seen := map[string]carried{}
	for {
		select {
		case <-a.dirty:
		case <-ctx.Done():
			return
		}
		members := alive(a.serf.Members())
		if !a.isJoined() && len(members) < 2 {
			continue
		}
		var set []discovery.Instance
		set, seen = a.collect(members, seen)
		a.hub.set(set)
		pause(ctx, a.cfg.GossipInterval/4)
	}
}

// carried is what one member's tags said.
type carried struct {
	blob string
	set  []discovery.Instance
}

// collect reads the tags that changed since seen. Of two instances with one ID the
// one that started later counts.
func (a *agent) collect(members []serf.Member, seen map[string]carried) ([]discovery.Instance, map[string]carried) {
	next := make(map[string]carried, len(members))
	byID := map[string]discovery.Instance{}
	for _, m := range members {
		c, ok := seen[m.Name]
		if blob := m.Tags[tagKey]; !ok || c.blob != blob {
			set, err := unpack(m.Tags)
			if err != nil {
				a.log.Warn("malformed instances skipped", "member", m.Name, "error", err)
			}
			c = carried{blob: blob, set: set}
		}
		next[m.Name] = c
		for _, in := range c.set {
			if old, twice := byID[in.ID]; !twice || in.Started.After(old.Started) {
				byID[in.ID] = in
			}
		}
	}
	all := make([]discovery.Instance, 0, len(byID))
	for _, in := range byID {
		all = append(all, in)
	}
	return discovery.Sort(all), next
}
