package gossip

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxPeers is how many members' addresses are remembered.
const maxPeers = 32

// loadPeers gives where other members were when this one ran last.
func (r *Registry) loadPeers() ([]string, error) {
	if r.cfg.Dir == "" {
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join(r.cfg.Dir, peersFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read peers: %w", err)
	}
	var out []string
	for addr := range strings.FieldsSeq(string(text)) {
		if _, _, err := splitAddr(addr); err == nil && len(out) < maxPeers {
			out = append(out, addr)
		}
	}
	return out, nil
}

// remember keeps the others' addresses, for the next start, as soon as it meets them. Serf's own snapshot
// does not do: it forgets who leaves, so that after an orderly stop of all the
// last one knows nobody, and it is tried once only, when nobody may be up yet.
func (a *agent) remember(ctx context.Context) {
	tick := time.NewTicker(a.cfg.RejoinInterval)
	defer tick.Stop()
	for {
		a.keepPeers()
		select {
		case <-a.met:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// keepPeers puts those who are there now before those who were.
func (a *agent) keepPeers() {
	if a.cfg.Dir == "" {
		return
	}
	now := addresses(a.others())
	slices.Sort(now)
	a.mu.Lock()
	old := a.peers
	a.mu.Unlock()
	next := now[:min(len(now), maxPeers)]
	for _, addr := range old {
		if len(next) < maxPeers && !slices.Contains(next, addr) {
			next = append(next, addr)
		}
	}
	if slices.Equal(old, next) {
		return
	}
	if err := replace(filepath.Join(a.cfg.Dir, peersFile), []byte(strings.Join(next, "\n")+"\n")); err != nil {
		a.rare.warn("peers", "other members are not remembered on disk", "error", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.peers = next
}
