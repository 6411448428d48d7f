package sqlite_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/internal/volume/volumetest"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/sqlite"
	"imagemill/services/taskdb/taskdbtest"
)

// A full disk refuses tasks and loses none; with room again, all goes on.
func TestFullDisk(t *testing.T) {
	disk := volumetest.New(t, 8<<20)
	var log bytes.Buffer
	env := real()
	cfg := env.Config
	cfg.Path = filepath.Join(disk.Dir, "db", "tasks.db")
	s, err := sqlite.Open(t.Context(), cfg, sqlite.Deps{Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.Empty(t, s.Missing())

	disk.Fill(t)
	kept, refused := []int{}, 0
	for n := 0; refused < 20; n++ {
		_, err := s.Create(t.Context(), taskdbtest.New(n))
		if err == nil {
			kept = append(kept, n) // into pages that the file has already
			continue
		}
		require.Equal(t, fault.StorageFull, fault.KindOf(err), err)
		refused++
	}
	require.Len(t, s.Missing(), 1)
	require.Contains(t, s.Missing()[0], "IMAGEMILL_TASKDB_PATH")
	require.Equal(t, 1, strings.Count(log.String(), "the disk is full"), log.String())
	for _, part := range []string{"IMAGEMILL_TASKDB_PATH", filepath.Dir(cfg.Path), "enlarge the volume"} {
		require.Contains(t, log.String(), part)
	}
	require.NotContains(t, log.String(), "commit failed")
	stats, err := s.Stats(t.Context())
	require.NoError(t, err, "reading goes on")
	require.EqualValues(t, len(kept), stats.States[taskdb.NotStarted])

	disk.Free(t)
	_, err = s.Create(t.Context(), taskdbtest.New(100_000))
	require.NoError(t, err)
	require.Empty(t, s.Missing())
	require.Contains(t, log.String(), "room again")
	for _, n := range kept {
		_, err := s.Get(t.Context(), taskdbtest.ID(n))
		require.NoError(t, err)
	}
}
