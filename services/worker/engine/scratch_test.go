package engine_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine"
)

func TestScratchFileEndsWhereItsWriterEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result.png")
	for _, content := range []string{"the first, which is long", "shorter", "", "the last, of some length"} {
		f, err := engine.CreateScratch(path)
		require.NoError(t, err)
		for _, c := range []byte(content) {
			_, err := f.Write([]byte{c})
			require.NoError(t, err)
		}
		require.EqualValues(t, len(content), f.Size())
		require.NoError(t, f.Close())
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, string(got))
		require.Error(t, f.Close(), "closed twice")
	}
	_, err := engine.CreateScratch(filepath.Join(path, "below a file"))
	require.Error(t, err)
}
