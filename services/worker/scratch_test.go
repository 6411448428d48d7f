package worker

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScratchFoldersAreUsedAgainTidied(t *testing.T) {
	base := t.TempDir()
	s := &scratch{base: base}
	first, err := s.take()
	require.NoError(t, err)
	second, err := s.take()
	require.NoError(t, err)
	require.NotEqual(t, first, second, "each attempt has its own")
	for i := range keptFiles + 2 {
		require.NoError(t, os.WriteFile(filepath.Join(first, strconv.Itoa(i)), []byte("picture"), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(first, "0"), make([]byte, keptBytes+1), 0o600))
	require.NoError(t, os.Symlink(second, filepath.Join(first, "1-link")))
	require.NoError(t, os.Mkdir(filepath.Join(first, "folder"), 0o700))
	require.NoError(t, s.give(first))
	again, err := s.take()
	require.NoError(t, err)
	require.Equal(t, first, again)
	left, err := os.ReadDir(again)
	require.NoError(t, err)
	require.Len(t, left, 2, "of the first four, the large one and the link went")
	for _, e := range left {
		require.True(t, e.Type().IsRegular())
		info, err := e.Info()
		require.NoError(t, err)
		require.LessOrEqual(t, info.Size(), int64(keptBytes))
	}

	require.NoError(t, os.RemoveAll(second))
	require.Error(t, s.give(second))
	third, err := s.take()
	require.NoError(t, err)
	require.NotEqual(t, second, third, "what could not be tidied is not used again")

	require.NoError(t, s.close())
	require.NoError(t, s.close())
	left, err = os.ReadDir(base)
	require.NoError(t, err)
	require.Empty(t, left)
}
