package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/volume"
)

// Both file systems do the same, and say the same when they cannot.
func TestNearDoesWhatTheSystemDoes(t *testing.T) {
	type outcome struct {
		what string
		err  error
	}
	play := func(fsys fileSystem, dir string) (out []outcome) {
		at := func(name string) string { return filepath.Join(dir, name) }
		did := func(what string, err error) { out = append(out, outcome{what, err}) }
		write := func(name string) {
			f, err := fsys.create(at(name))
			did("create "+name, err)
			if err != nil {
				return
			}
			_, err = f.Write([]byte(name))
			did("write", errors.Join(err, f.Sync(), f.Close()))
		}
		read := func(name string) {
			f, err := fsys.open(at(name))
			did("open "+name, err)
			if err != nil {
				return
			}
			text := make([]byte, 8)
			n, err := f.Read(text)
			did("read "+string(text[:n]), errors.Join(err, f.Close()))
		}
		did("mkdir", fsys.mkdir(at("d")))
		did("mkdir again", fsys.mkdir(at("d")))
		did("mkdir nowhere", fsys.mkdir(at("none/d")))
		write("d/a")
		write("d/a")
		write("none/a")
		read("d/a")
		read("d/b")
		did("link", fsys.link(at("d/a"), at("d/b")))
		did("link again", fsys.link(at("d/a"), at("d/b")))
		write("c")
		did("place on another", fsys.place(at("c"), at("d/a")))
		did("place", fsys.place(at("c"), at("d/c")))
		did("place what is not there", fsys.place(at("c"), at("d/d")))
		did("rename over another", fsys.rename(at("d/c"), at("d/a")))
		did("rename what is not there", fsys.rename(at("d/c"), at("d/a")))
		read("d/a")
		read("d/b")
		did("sync", fsys.syncDir(at("d")))
		did("sync all", fsys.syncDir(dir))
		did("sync nothing", fsys.syncDir(at("none")))
		did("remove what is full", fsys.remove(at("d")))
		did("remove", fsys.remove(at("d/a")))
		did("remove again", fsys.remove(at("d/a")))
		did("remove the other", fsys.remove(at("d/b")))
		did("remove the folder", fsys.remove(at("d")))
		return out
	}
	a, b := t.TempDir(), t.TempDir()
	beside, free, err := near(b)
	require.NoError(t, err)
	want, got := play(osFS{}, a), play(beside, b)
	require.Len(t, got, len(want))
	for i, w := range want {
		g := got[i]
		require.Equal(t, w.what, g.what)
		assert.Equal(t, w.err == nil, g.err == nil, "%s: %v, %v", w.what, w.err, g.err)
		for _, kind := range []error{fs.ErrExist, fs.ErrNotExist} {
			assert.Equal(t, errors.Is(w.err, kind), errors.Is(g.err, kind), "%s: %v, %v", w.what, w.err, g.err)
		}
		if g.err != nil {
			assert.ErrorContains(t, g.err, b, "the whole path is told")
		}
	}
	before, err := volume.FreeBytes(b)
	require.NoError(t, err)
	bytes, err := free(b)
	require.NoError(t, err)
	after, err := volume.FreeBytes(b)
	require.NoError(t, err)
	const others = 1 << 30 // what others on this disk may write and remove at the same time
	assert.Greater(t, bytes, min(before, after)-others)
	assert.Less(t, bytes, max(before, after)+others)
	elsewhere := filepath.Join(a, "elsewhere")
	f, err := beside.create(elsewhere)
	require.NoError(t, err, "a path beside the folder")
	require.NoError(t, f.Close())
	_, err = os.Stat(elsewhere)
	require.NoError(t, err)
	_, _, err = near(elsewhere)
	require.Error(t, err, "a file is no folder")
}
