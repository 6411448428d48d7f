package ability_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/ability"
	"imagemill/internal/sniff"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/mem"
)

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestAFleetKnowsWhatIsAnnouncedAndRemembersItForAWhile(t *testing.T) {
	registry, c := mem.New(), &clock{at: time.Unix(1e9, 0)}
	f := ability.NewFleet(registry, c.now)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	one, two := ability.Reading(sniff.JPEG), ability.Reading(sniff.AVIF)
	announce := func(id string, tags map[string]string) (withdraw func()) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- registry.Announce(ctx, discovery.Instance{ID: id, Service: "worker", URL: "http://127.0.0.1:1", Tags: tags}, nil)
		}()
		return func() { cancel(); require.NoError(t, <-ended) }
	}
	knows := func(want ...ability.Set) {
		t.Helper()
		require.Eventually(t, func() bool {
			got := f.Engines()
			if len(got) != len(want) {
				return false
			}
			for i := range want {
				if got[i] != want[i] {
					return false
				}
			}
			return true
		}, time.Minute, time.Millisecond)
	}
	knows()
	first := announce("a", map[string]string{ability.Tag: one.String()})
	same := announce("b", map[string]string{ability.Tag: one.String()})
	knows(one)
	second := announce("c", map[string]string{ability.Tag: two.String()})
	knows(one, two)
	old := announce("d", nil)
	knows() // nobody knows what that one can do
	old()
	knows(one, two)
	second()
	knows(one, two) // it may be restarting
	// The withdrawal is seen before the clock goes on.
	third := announce("e", map[string]string{ability.Tag: (one | two).String()})
	knows(one, two, one|two)
	c.pass(ability.Kept)
	knows(one, one|two)
	third()
	same()
	first()
}
