package worker

import (
	"fmt"
	"os"
	"path/filepath"
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
	write := func(name string, size int) {
		require.NoError(t, os.WriteFile(filepath.Join(first, name), make([]byte, size), 0o600))
	}
	for i := range keptFiles + 2 {
		write(fmt.Sprintf("file-%02d", i), 10)
	}
	write("a", keptBytes-100)
	write("b", 101)
	require.NoError(t, os.Symlink(second, filepath.Join(first, "c-link")))
	require.NoError(t, os.Mkdir(filepath.Join(first, "d-folder"), 0o700))
	require.NoError(t, s.give(first))
	again, err := s.take()
	require.NoError(t, err)
	require.Equal(t, first, again)
	left, err := os.ReadDir(again)
	require.NoError(t, err)
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	want := []string{"a"} // b would have been too much
	for i := range 10 {
		want = append(want, fmt.Sprintf("file-%02d", i))
	}
	require.Equal(t, want, names)

	require.NoError(t, os.Remove(filepath.Join(first, "a")))
	for i := range keptFiles + 2 {
		write(fmt.Sprintf("file-%02d", i), 10)
	}
	require.NoError(t, s.give(first))
	_, err = s.take()
	require.NoError(t, err)
	left, err = os.ReadDir(first)
	require.NoError(t, err)
	require.Len(t, left, keptFiles)

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
