package e2e_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
	"imagemill/services/taskdb/postgres/postgrestest"
)

// Of a thousand uploads of ten pictures, ten are decoded, whether the others come
// while those are worked or later, and each is an image of its own.
func TestDedupe(t *testing.T) { dedupe(t, calmSuite(t, "IMAGEMILL_FRONTEND_DEDUPE=true")) }

// The same with two taskdb on PostgreSQL, and two masters that see each other's claims
// a moment late.
func TestDedupePostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes and takes long; run without -short")
	}
	p := calmSuite(t, "IMAGEMILL_FRONTEND_DEDUPE=true", "IMAGEMILL_TASKDB_DATABASE="+postgrestest.Start(t).Database(t))
	p.Count["taskdb"] = 2
	dedupe(t, p)
}

func dedupe(t *testing.T, p *e2e.Processes) {
	t.Helper()
	const pictures, uploads, users = 10, 1000, 16
	p.StartAll(2)
	u := newUser(t, p, 0, 50, 200*time.Millisecond)
	ids := make([]string, uploads)
	send := func(from, to int) {
		var wg sync.WaitGroup
		for worker := range users {
			wg.Go(func() {
				for n := from + worker; n < to; n += users {
					id, err := u.upload(t.Context(), picture(t, n%pictures))
					if err == nil {
						err = u.follow(t.Context(), n%pictures, id)
					}
					if err != nil {
						t.Errorf("upload %d: %v", n, err)
						return
					}
					ids[n] = id
				}
			})
		}
		wg.Wait()
	}
	send(0, uploads)
	require.False(t, t.Failed())
	decoded := func() (n int) {
		for _, name := range p.Names("worker") {
			n += strings.Count(p.Get(name).Log(), `"msg":"finished"`)
		}
		return n
	}
	p.Eventually("workers log what they have reported", func() bool { return decoded() >= pictures })
	require.Equal(t, pictures, decoded(), "pictures that a worker finished")
	seen := map[string]bool{}
	for _, id := range ids {
		require.False(t, seen[id], "two uploads have one ID")
		seen[id] = true
	}
	// Half of them go, and take nothing of the others with them.
	for n, id := range ids {
		if n%2 == 0 {
			_, err := u.call(t.Context(), http.MethodDelete, "/v1/images/"+id, nil, http.StatusNoContent)
			require.NoError(t, err)
		}
	}
	for n, id := range ids {
		if n%2 == 1 {
			require.NoError(t, u.follow(t.Context(), n%pictures, id))
		}
	}
}
