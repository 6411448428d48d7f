package e2e_test

import (
	"bytes"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
	"imagemill/internal/volume/volumetest"
)

// A full disk, of storage or of taskdb, refuses uploads with 507 or 503 and says
// when to come again; what was accepted before is kept, what waits is finished,
// and with room again all goes on, without a restart.
func TestFullDisks(t *testing.T) {
	for _, service := range []string{"storage", "taskdb"} {
		t.Run(service, func(t *testing.T) { fullDisk(t, service) })
	}
}

func fullDisk(t *testing.T, service string) {
	p := calmSuite(t, "IMAGEMILL_STORAGE_MIN_FREE=1MiB")
	disk := volumetest.New(t, 64<<20)
	p.Disks[service] = disk.Dir
	p.StartAll(1)
	u := newUser(t, p, 0, 2, 100*time.Millisecond)
	ids := map[int]string{}
	post := func(n int) e2e.Answer {
		a, err := u.Do(t.Context(), http.MethodPost, "/newImage", bytes.NewReader(picture(t, n)))
		require.NoError(t, err)
		if a.Status == http.StatusAccepted {
			ids[n] = a.Text(t, "id")
		}
		return a
	}
	require.Equal(t, http.StatusAccepted, post(0).Status)
	require.NoError(t, u.follow(t.Context(), 0, ids[0]))
	p.Signal("worker-1", os.Interrupt) // so that what follows waits over the full disk
	p.Wait("worker-1", time.Minute)
	require.Equal(t, http.StatusAccepted, post(1).Status)

	require.NoError(t, disk.Tighten())
	for n, refused := 2, 0; refused < 10; n++ {
		require.Less(t, n, 5000)
		if a := post(n); a.Status != http.StatusAccepted {
			require.Contains(t, []int{http.StatusInsufficientStorage, http.StatusServiceUnavailable}, a.Status, "body: %s", a.Body)
			requireProblemDocument(t, a)
			refused++
		}
	}
	p.Restart("worker-1") // it finds work whose results there is no room for
	p.Eventually("it says so", func() bool { return p.Status(p.Address(service)+"/readyz") == http.StatusServiceUnavailable })
	require.NoError(t, u.follow(t.Context(), 0, ids[0]), "what is there is served")
	<-time.After(time.Duration(setting(t, "IMAGEMILL_E2E_FULL", 3)) * time.Second) // longer than three tries take

	require.NoError(t, disk.Widen(64<<20))
	p.Eventually("uploads are taken in again", func() bool { return post(5000).Status == http.StatusAccepted })
	for n, id := range ids {
		require.NoError(t, u.follow(t.Context(), n, id))
	}
	p.Eventually("it is ready", func() bool { return p.Status(p.Address(service)+"/readyz") == http.StatusOK })
}
