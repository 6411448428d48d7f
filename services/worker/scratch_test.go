package worker

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScratchFoldersAreUsedAgainEmptied(t *testing.T) {
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
	require.NoError(t, os.Mkdir(filepath.Join(first, "folder"), 0o700))
	require.NoError(t, s.give(first))
	again, err := s.take()
	require.NoError(t, err)
	require.Equal(t, first, again)
	left, err := os.ReadDir(again)
	require.NoError(t, err)
	require.Len(t, left, keptFiles)
	for _, e := range left {
		info, err := e.Info()
		require.NoError(t, err)
		require.Zero(t, info.Size())
	}

	require.NoError(t, os.RemoveAll(second))
	require.Error(t, s.give(second))
	third, err := s.take()
	require.NoError(t, err)
	require.NotEqual(t, second, third, "what could not be emptied is not used again")

	require.NoError(t, s.close())
	require.NoError(t, s.close())
	left, err = os.ReadDir(base)
	require.NoError(t, err)
	require.Empty(t, left)
}
