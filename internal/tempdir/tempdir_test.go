//go:build unix

package tempdir_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/tempdir"
)

// parentEnv has this program make a folder there, say so, and wait to be killed.
const parentEnv = "IMAGEMILL_TEMPDIR_PARENT"

func TestMain(m *testing.M) {
	if parent := os.Getenv(parentEnv); parent != "" {
		d, err := tempdir.Make(parent, "mine-")
		if err == nil {
			err = os.WriteFile(filepath.Join(d.Path, "picture"), []byte("x"), 0o600)
		}
		if err != nil {
			os.Exit(1)
		}
		_, _ = os.Stdout.WriteString("made\n")
		select {}
	}
	os.Exit(m.Run())
}

func names(t *testing.T, parent string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(parent)
	require.NoError(t, err)
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestWhatAKilledProcessLeftIsSwept(t *testing.T) {
	parent := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), parentEnv+"="+parent)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, 5))
	require.NoError(t, err)
	require.Len(t, names(t, parent), 1)

	n, err := tempdir.Sweep(parent, "mine-")
	require.NoError(t, err)
	require.Zero(t, n, "its process lives")
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	n, err = tempdir.Sweep(parent, "other-")
	require.NoError(t, err)
	require.Zero(t, n, "nobody's of that name")
	n, err = tempdir.Sweep(parent, "mine-")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Empty(t, names(t, parent))
}

func TestWhatIsNoFolderIsLeftAlone(t *testing.T) {
	parent, elsewhere := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "file"), nil, 0o600))
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(parent, "mine-link")))
	require.NoError(t, os.WriteFile(filepath.Join(parent, "mine-file"), nil, 0o600))
	n, err := tempdir.Sweep(parent, "mine-")
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, []string{"mine-file", "mine-link"}, names(t, parent))
	require.Equal(t, []string{"file"}, names(t, elsewhere))
}

// Folders are made while others sweep: none is taken from who has it.
func TestMakersAndSweepersGetAlong(t *testing.T) {
	parent := t.TempDir()
	stop := make(chan struct{})
	var sweepers, makers sync.WaitGroup
	for range 4 {
		sweepers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = tempdir.Sweep(parent, "mine-")
				}
			}
		})
	}
	for range 8 {
		makers.Go(func() {
			for range 200 {
				d, err := tempdir.Make(parent, "mine-")
				if err == nil {
					err = os.Mkdir(filepath.Join(d.Path, "0"), 0o700)
				}
				if err == nil {
					err = d.Remove()
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	makers.Wait()
	close(stop)
	sweepers.Wait()
	require.Empty(t, names(t, parent))
	_, err := tempdir.Make(filepath.Join(parent, "none"), "mine-")
	require.ErrorIs(t, err, os.ErrNotExist)
}
