package disk

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/internal/volume/volumetest"
	"imagemill/services/storage"
)

// A full disk refuses, serves what it has, and takes again when there is room.
func TestFullDisk(t *testing.T) {
	for name, minFree := range map[string]int64{"down to the last byte": 0, "with some kept free": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			small := volumetest.New(t, 4<<20)
			var log bytes.Buffer
			s, err := Open(Config{Dir: small.Dir, MinFree: minFree}, Deps{Log: slog.New(slog.NewTextHandler(&log, nil))})
			require.NoError(t, err)
			require.NoError(t, put(t, s, "before", "kept"))
			require.Empty(t, s.Missing())

			small.Fill(t)
			for range 20 {
				err = put(t, s, "refused", strings.Repeat("x", 64<<10))
				require.Equal(t, fault.StorageFull, fault.KindOf(err), err)
			}
			require.Equal(t, "kept", content(t, s, "before"))
			require.Empty(t, content(t, s, "refused"))
			require.Len(t, s.Missing(), 1)
			require.Contains(t, s.Missing()[0], "IMAGEMILL_STORAGE_DATA")
			require.Equal(t, 1, strings.Count(log.String(), "the disk is full"), log.String())
			for _, part := range []string{"IMAGEMILL_STORAGE_DATA", small.Dir, "enlarge the volume"} {
				require.Contains(t, log.String(), part)
			}
			require.NoError(t, s.Delete(t.Context(), storage.Ref{State: storage.Finished, Key: "nothing"}), "deleting is how space comes back")

			small.Free(t)
			require.NoError(t, put(t, s, "after", "taken"))
			require.Empty(t, s.Missing())
			require.Zero(t, tmpFiles(t, s))
			require.Contains(t, log.String(), "room again")
		})
	}
}

// Too little room at the start is said at the start.
func TestLittleRoomIsSaidAtTheStart(t *testing.T) {
	var log bytes.Buffer
	s, err := Open(Config{Dir: t.TempDir(), MinFree: 1 << 60}, Deps{Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	require.Contains(t, log.String(), "the disk is full")
	require.Len(t, s.Missing(), 1)
}
