package e2e_test

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
)

// More than can be taken in is refused, with when to come again, and every
// service goes on telling at once how it is; whoever comes back when he was told
// is taken in, as soon as there are workers.
func TestSaturated(t *testing.T) {
	const most = 30
	p := calmSuite(t, "IMAGEMILL_IMAGEMASTER_MAX_WAITING="+strconv.Itoa(most))
	p.StartAll(0)
	u := newUser(t, p, 0, 1, 0)
	ids := map[int]string{}
	var last e2e.Answer
	for n := range 4 * most {
		a, err := u.Do(t.Context(), http.MethodPost, "/newImage", bytes.NewReader(picture(t, n)))
		require.NoError(t, err)
		if last = a; a.Status == http.StatusAccepted {
			ids[n] = a.Text(t, "id")
		}
	}
	require.Equal(t, http.StatusTooManyRequests, last.Status, "body: %s", last.Body)
	requireSoon(t, last)
	require.GreaterOrEqual(t, len(ids), most)
	require.LessOrEqual(t, len(ids), 2*most, "two masters, each of which counts what the other takes in a second later")

	crowd, leave := context.WithCancel(t.Context())
	defer leave()
	var refused atomic.Int64
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for crowd.Err() == nil {
				if a, err := u.Do(crowd, http.MethodPost, "/newImage", bytes.NewReader(picture(t, 9999))); err == nil && a.Status == http.StatusTooManyRequests {
					refused.Add(1)
				}
			}
		})
	}
	// For two seconds at least, and until there is enough to judge by.
	began, told, slowest := time.Now(), 0, time.Duration(0)
	for time.Since(began) < 2*time.Second || refused.Load() <= 100 || told < 40 {
		require.Less(t, time.Since(began), patience, "%d refused, %d words about health", refused.Load(), told)
		for _, service := range []string{"frontend", "imagemaster", "taskdb", "storage"} {
			for _, url := range p.Addresses(service) {
				for _, path := range []string{"/healthz", "/readyz"} {
					asked := time.Now()
					status := p.Status(url + path)
					told++
					slowest = max(slowest, time.Since(asked))
					require.Equal(t, http.StatusOK, status, "%s of %s", path, service)
				}
			}
		}
	}
	took := time.Since(began)
	leave()
	all.Wait()
	require.Less(t, slowest, time.Second, "health is told in time")
	t.Logf("%d taken in, %d refused in %s; the slowest of %d words about health took %s", len(ids), refused.Load(), took.Round(time.Millisecond), told, slowest.Round(time.Millisecond))

	p.StartService("worker", 2)
	patient := newUser(t, p, 0, 20, 200*time.Millisecond)
	for n, id := range ids {
		require.NoError(t, patient.follow(t.Context(), n, id))
	}
	p.Eventually("uploads are taken in again", func() bool {
		a, err := u.Do(t.Context(), http.MethodPost, "/newImage", bytes.NewReader(picture(t, 1)))
		return err == nil && a.Status == http.StatusAccepted
	})
}

// requireSoon has an answer say when to come again.
func requireSoon(t *testing.T, a e2e.Answer) {
	t.Helper()
	requireProblemDocument(t, a)
	s, err := strconv.Atoi(a.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, s, 1)
	require.LessOrEqual(t, s, 300)
}

func requireProblemDocument(t *testing.T, a e2e.Answer) {
	t.Helper()
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"), "body: %s", a.Body)
	require.NotEmpty(t, a.Text(t, "detail"))
}
