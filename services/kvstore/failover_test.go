//go:build unix

package kvstore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// follower of a sequence: it lists the keys below seq/ by blocking queries and
// goes to another node where one does not answer.
type sequel struct {
	seen  int          // length of the sequence as last seen
	shown atomic.Int64 // seen, for others while it goes on
	gap   bool         // a number was missing, or one had gone again
	index uint64
	polls int
}

// look makes one blocking query and checks what it shows.
func (s *sequel) look(ctx context.Context, client *http.Client, token, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/v1/kv/seq/?keys&wait=5s&index=%d", url, s.index), nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Consul-Token", token)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotFound {
		return fmt.Errorf("answered %s", resp.Status)
	}
	var keys []string
	if resp.StatusCode == http.StatusOK {
		if err := json.NewDecoder(resp.Body).Decode(&keys); err != nil {
			return err
		}
	}
	index, err := strconv.ParseUint(resp.Header.Get("X-Consul-Index"), 10, 64)
	if err != nil {
		return err
	}
	if index < s.index {
		s.gap = true // Consul's clients would start over: the index must never fall
	}
	s.index = index
	s.polls++
	for n, key := range keys {
		if key != fmt.Sprintf("seq/%06d", n) {
			s.gap = true
		}
	}
	s.gap = s.gap || len(keys) < s.seen
	s.seen = len(keys)
	s.shown.Store(int64(s.seen))
	return nil
}

// The leader of three is killed: writes go on within two seconds, and nobody who
// watches, on whichever node, misses any of them.
func TestLeaderKilled(t *testing.T) {
	const limit = 2 * time.Second
	kills, watchers := 4, 24
	if testing.Short() {
		kills = 2
	}
	f := newFleet(t, 3, func(_ int, c *Config) {
		c.RaftHeartbeat, c.Cluster.GossipProbe = DefaultConfig().RaftHeartbeat, DefaultConfig().Cluster.GossipProbe
	})
	nodes := f.spawnAll()
	token := f.config(0).HTTP.Token
	urls := newRecorder(f).urls
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var done sync.WaitGroup
	all := make([]*sequel, watchers)
	for w := range all {
		all[w] = &sequel{}
		done.Go(func() {
			for at := w; ctx.Err() == nil; {
				if all[w].look(ctx, client, token, urls[at%3]) != nil {
					at++
					passes(20 * time.Millisecond)
				}
			}
		})
	}
	acked, longest := f.writeThrough(client, token, urls, nodes, kills)
	for _, took := range longest {
		assert.Less(t, took, limit)
	}
	// One more change ends the waits; who has seen it has seen everything.
	eventually(t, func() bool { return f.putOnce(client, token, urls[0], acked) })
	eventually(t, func() bool {
		return !slices.ContainsFunc(all, func(s *sequel) bool { return s.shown.Load() <= int64(acked) })
	})
	cancel()
	done.Wait()
	polls := 0
	for _, s := range all {
		assert.False(t, s.gap)
		assert.Greater(t, s.seen, acked)
		polls += s.polls
	}
	t.Logf("%d writes, leader killed %d times, longest time without an accepted write %v; %d watchers looked %d times and missed nothing",
		acked, len(longest), longest, watchers, polls)
}

// putOnce writes number n of the sequence and reports whether it was accepted.
func (f *fleet) putOnce(client *http.Client, token, url string, n int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("%s/v1/kv/seq/%06d", url, n), strings.NewReader("v"))
	require.NoError(f.t, err)
	req.Header.Set("X-Consul-Token", token)
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// writeThrough writes the sequence, a number every few milliseconds, while the
// leader is killed now and then, and gives its length and, for each kill, the
// longest time in which nothing was accepted.
func (f *fleet) writeThrough(client *http.Client, token string, urls []string, nodes []*child, kills int) (n int, longest []time.Duration) {
	at := 0
	write := func() {
		for !f.putOnce(client, token, urls[at%3], n) {
			at++
			passes(10 * time.Millisecond)
		}
		n++
		passes(4 * time.Millisecond)
	}
	for range kills {
		for range 50 {
			write()
		}
		l := -1
		eventually(f.t, func() bool { l = f.remoteLeader(); return l >= 0 })
		nodes[l].kill()
		last, worst := time.Now(), time.Duration(0)
		for range 100 {
			write()
			worst, last = max(worst, time.Since(last)), time.Now()
		}
		longest = append(longest, worst.Round(time.Millisecond))
		nodes[l] = f.spawn(l)
		f.remoteReady()
	}
	slices.Sort(longest)
	return n, longest
}
