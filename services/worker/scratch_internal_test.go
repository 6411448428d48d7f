package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScratchKeepsFilesButNoBytes(t *testing.T) {
	s := scratch{base: t.TempDir()}
	a, err := s.take()
	require.NoError(t, err)
	b, err := s.take()
	require.NoError(t, err)
	require.NotEqual(t, a, b, "two attempts at once have a folder each")

	for i := range keptFiles + 3 {
		require.NoError(t, os.WriteFile(filepath.Join(a, fmt.Sprint(i)), []byte("a secret picture"), 0o600))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(a, "sub", "sub"), 0o700))
	require.NoError(t, s.give(a))
	entries, err := os.ReadDir(a)
	require.NoError(t, err)
	require.Len(t, entries, keptFiles)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.Zero(t, info.Size())
	}
	again, err := s.take()
	require.NoError(t, err)
	require.Equal(t, a, again)

	require.NoError(t, s.close())
	left, err := os.ReadDir(s.base)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestScratchWithoutRoomIsAnError(t *testing.T) {
	s := scratch{base: filepath.Join(t.TempDir(), "missing")}
	_, err := s.take()
	require.Error(t, err)
	require.NoError(t, s.close())
}
