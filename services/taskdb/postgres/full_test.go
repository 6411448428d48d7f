//go:build unix

package postgres_test

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/internal/volume/volumetest"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/postgres/postgrestest"
	"imagemill/services/taskdb/taskdbtest"
)

// A full tablespace refuses tasks and loses none; with room again, all goes on.
func TestFullTablespace(t *testing.T) {
	pg := postgrestest.Start(t)
	const size = 64 << 20
	disk := volumetest.New(t, size)
	place := filepath.Join(disk.Dir, "space")
	require.NoError(t, os.Mkdir(place, 0o700))
	if os.Geteuid() == 0 { // PostgreSQL runs as nobody then, who has to get there
		nobody, err := user.Lookup("nobody")
		require.NoError(t, err)
		uid, err := strconv.Atoi(nobody.Uid)
		require.NoError(t, err)
		gid, err := strconv.Atoi(nobody.Gid)
		require.NoError(t, err)
		require.NoError(t, os.Chown(place, uid, gid))
		for dir := disk.Dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			require.NoError(t, os.Chmod(dir, 0o755))
		}
	}
	pg.Exec(t, "CREATE TABLESPACE small LOCATION '"+place+"'", "CREATE DATABASE small TABLESPACE small")
	s := open(t, real(), pg.URL("small"))

	require.NoError(t, disk.Tighten())
	var kept []int
	refused := 0
	for n := 0; refused < 10; n++ {
		require.Less(t, n, 20_000)
		_, err := s.Create(t.Context(), taskdbtest.New(n))
		if err == nil {
			kept = append(kept, n) // into pages that the files have already
			continue
		}
		require.Equal(t, fault.StorageFull, fault.KindOf(err), "%v", err)
		require.Positive(t, fault.As(err).RetryAfter)
		refused++
	}
	stats, err := s.Stats(t.Context())
	require.NoError(t, err, "reading goes on")
	require.EqualValues(t, len(kept), stats.States[taskdb.NotStarted])

	require.NoError(t, disk.Widen(size))
	_, err = s.Create(t.Context(), taskdbtest.New(100_000))
	require.NoError(t, err)
	for _, n := range kept {
		_, err := s.Get(t.Context(), taskdbtest.ID(n))
		require.NoError(t, err)
	}
}
