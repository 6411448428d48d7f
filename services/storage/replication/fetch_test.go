package replication

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
	"imagemill/services/storage"
	"imagemill/services/storage/disk"
)

// lonely makes a node that takes what it is told to, and follows nobody.
func lonely(t *testing.T) *Node {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	d, err := disk.Open(disk.Config{Dir: t.TempDir()}, disk.Deps{Log: log})
	require.NoError(t, err)
	n, err := Open(storage.DefaultReplication(), Deps{Log: log, Instance: "lonely", Local: d})
	require.NoError(t, err)
	run, stop := context.WithCancel(t.Context())
	n.run = run
	t.Cleanup(func() {
		stop()
		n.flights.Wait()
		require.NoError(t, n.Close())
	})
	return n
}

// sender is another node, which has one blob, or none.
type sender struct {
	body  []byte // nil for none
	stamp int64
	// answer is called before it answers, next before each piece, with how many bytes
	// there are at most; each may be nil.
	answer func(ctx context.Context)
	next   func(ctx context.Context) int
}

// RoundTrip implements http.RoundTripper.
func (s *sender) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.answer != nil {
		s.answer(r.Context())
	}
	h := http.Header{headerEpoch: {"another"}, headerStamp: {strconv.FormatInt(s.stamp, 10)}, "Etag": {`"` + s.digest() + `"`}}
	resp := &http.Response{
		StatusCode: http.StatusOK, Header: h, Request: r, ContentLength: int64(len(s.body)),
		Body: io.NopCloser(&arriving{ctx: r.Context(), s: s, rest: bytes.NewReader(s.body)}),
	}
	if s.body == nil {
		resp.StatusCode = http.StatusNotFound
	}
	return resp, r.Context().Err()
}

func (s *sender) digest() string {
	sum := sha256.Sum256(s.body)
	return hex.EncodeToString(sum[:])
}

// joined gives the node as one that is followed, and the line that says what it has.
func (s *sender) joined(life context.Context) (*peer, record) {
	line := record{op: opPut, ref: someRef(1), stamp: s.stamp, size: int64(len(s.body)), sha: s.digest()}
	return &peer{in: discovery.Instance{ID: "another", URL: "http://another"}, http: &http.Client{Transport: s}, life: life}, line
}

type arriving struct {
	ctx  context.Context
	s    *sender
	rest *bytes.Reader
}

func (a *arriving) Read(p []byte) (int, error) {
	if a.s.next != nil {
		p = p[:min(len(p), a.s.next(a.ctx))]
		if err := a.ctx.Err(); err != nil {
			return 0, err
		}
	}
	return a.rest.Read(p)
}

// A line that finds a fetch under way is not followed by what that one brings of
// another node: an older version, or nothing.
func TestALineIsNotFollowedByAnothersFetch(t *testing.T) {
	for name, other := range map[string]*sender{"older": {body: []byte("old"), stamp: 10}, "none": {stamp: 10}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, release := lonely(t), make(chan struct{})
				other.answer = func(context.Context) { <-release }
				p1, line1 := other.joined(t.Context())
				p2, line2 := (&sender{body: []byte("new"), stamp: 20}).joined(t.Context())
				done := make(chan error, 2)
				go func() { done <- n.take(t.Context(), p1, line1) }()
				synctest.Wait()
				go func() { done <- n.take(t.Context(), p2, line2) }()
				synctest.Wait()
				close(release)
				require.NoError(t, <-done)
				require.NoError(t, <-done)
				held, err := n.local.Held(t.Context(), someRef(1))
				require.NoError(t, err)
				require.EqualValues(t, 20, held.Stamp)
			})
		})
	}
}

// A node that stands still, or nearly so, while it sends a blob, holds up the copying
// of that blob from a healthy one for answerTimeout at most; one that has left, not
// at all; and one that is slow is waited for.
func TestAFrozenSenderHoldsNobodyUp(t *testing.T) {
	const size = 5 << 20
	frozen := func(ctx context.Context) int { <-ctx.Done(); return 0 }
	every := func(bytes int) func(context.Context) int {
		return func(ctx context.Context) int { wait(ctx, time.Second); return bytes }
	}
	for name, c := range map[string]struct {
		next        func(ctx context.Context) int
		leaves      bool
		least, most time.Duration
	}{
		"frozen":  {frozen, false, answerTimeout, answerTimeout},
		"trickle": {every(100), false, answerTimeout, answerTimeout + time.Second},
		"left":    {frozen, true, 0, 0},
		"slow":    {every(slowest), false, 80 * time.Second, 85 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := lonely(t)
				life, leave := context.WithCancel(t.Context())
				defer leave()
				data := bytes.Repeat([]byte("x"), size)
				p1, line := (&sender{body: data, stamp: 10, next: c.next}).joined(life)
				p2, _ := (&sender{body: data, stamp: 10}).joined(t.Context())
				first := make(chan error, 1)
				began := time.Now()
				go func() { first <- n.take(t.Context(), p1, line) }()
				synctest.Wait()
				if c.leaves {
					leave()
				}
				require.NoError(t, n.take(t.Context(), p2, line))
				took := time.Since(began)
				require.GreaterOrEqual(t, took, c.least)
				require.LessOrEqual(t, took, c.most)
				held, err := n.local.Held(t.Context(), someRef(1))
				require.NoError(t, err)
				require.EqualValues(t, size, held.Size)
				<-first
			})
		})
	}
}

// Who reads the line of a Put that heals is not told that the blob is damaged.
func TestAHealedBlobHasItsLineAfterwards(t *testing.T) {
	n, lost := lonely(t), make(chan bool)
	for range 2000 {
		n.memory.setLost(someRef(1), true)
		_, _, changed := n.log.bounds()
		go func() {
			<-changed
			lost <- n.memory.isLost(someRef(1))
		}()
		_, err := n.Put(t.Context(), someRef(1), strings.NewReader("x"), storage.PutOptions{Size: 1, Replicas: 1})
		require.NoError(t, err)
		require.False(t, <-lost)
	}
}
