package disk

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/internal/volume"
	"imagemill/services/storage"
)

func faultStore(t *testing.T) (*Store, *faultFS) {
	t.Helper()
	fsys := &faultFS{failAt: -1}
	s, err := open(Config{Dir: t.TempDir()}, Deps{Log: slog.New(slog.DiscardHandler)}, fsys)
	require.NoError(t, err)
	fsys.reset(-1, false, nil)
	return s, fsys
}

func blob(key string) storage.Ref { return storage.Ref{State: storage.Finished, Key: key} }

func put(t *testing.T, s *Store, key, content string) error {
	t.Helper()
	_, err := s.Put(t.Context(), blob(key), strings.NewReader(content), storage.PutOptions{Size: -1})
	return err
}

// content gives what a reader sees, "" for nothing.
func content(t *testing.T, s *Store, key string) string {
	t.Helper()
	obj, err := s.Get(t.Context(), blob(key), storage.Whole())
	if fault.Is(err, fault.NotFound) {
		return ""
	}
	require.NoError(t, err)
	data, err := io.ReadAll(obj.Body)
	require.NoError(t, err)
	require.NoError(t, obj.Body.Close())
	return string(data)
}

func tmpFiles(t *testing.T, s *Store) int {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(s.cfg.Dir, tmpDir))
	require.NoError(t, err)
	return len(left)
}

// The order of these steps is the promise of durability.
func TestStepsOfPut(t *testing.T) {
	s, fsys := faultStore(t)
	require.NoError(t, put(t, s, "abcdefgh", "first"))
	require.Equal(t, []string{
		"create new", "write new", "sync new", "close new", "mkdir abcdefg", "syncDir finished",
		"place abcdefgh", "syncDir abcdefg",
	}, fsys.taken())
	fsys.reset(-1, false, nil)
	require.NoError(t, put(t, s, "abcdefgh", "second"))
	require.Equal(t, []string{
		"create new", "write new", "sync new", "close new",
		"place abcdefgh", "link old", "rename abcdefgh", "syncDir abcdefg", "remove old",
	}, fsys.taken())
	fsys.reset(-1, false, nil)
	require.NoError(t, s.Delete(t.Context(), blob("abcdefgh")))
	require.Equal(t, []string{"remove abcdefgh", "syncDir abcdefg"}, fsys.taken())
}

// Where the system cannot tell whether a name is taken, each Put looks first.
func TestStepsOfPutWithoutPlace(t *testing.T) {
	s, fsys := faultStore(t)
	fsys.noPlace = true
	require.NoError(t, put(t, s, "abcdefgh", "first"))
	fsys.reset(-1, false, nil)
	for _, steps := range [][]string{
		{"create new", "write new", "sync new", "close new", "link old", "rename abcdefgi", "syncDir abcdefg"},
		{"create new", "write new", "sync new", "close new", "link old", "rename abcdefgi", "syncDir abcdefg", "remove old"},
	} {
		require.NoError(t, put(t, s, "abcdefgi", "content"))
		require.Equal(t, steps, fsys.taken())
		fsys.reset(-1, false, nil)
	}
}

// Whatever step of a Put fails, for a moment or from then on: it is an error and
// the old state, or a success and the new one; a reopened store sees the same.
func TestEveryStepFails(t *testing.T) {
	for _, before := range []string{"", "old"} {
		for _, size := range []int{3, 300_000} {
			for _, lasts := range []bool{false, true} {
				for _, cause := range []error{errInjected, syscall.ENOSPC, syscall.EIO} {
					for n := 0; failStep(t, n, false, before, strings.Repeat("n", size), lasts, cause); n++ {
					}
				}
				for n := 0; failStep(t, n, true, before, strings.Repeat("n", size), lasts, errInjected); n++ {
				}
			}
		}
	}
}

// failStep tries one Put whose step n fails, and reports whether it had so many.
func failStep(t *testing.T, n int, noPlace bool, before, after string, lasts bool, cause error) bool {
	t.Helper()
	s, fsys := faultStore(t)
	fsys.torn, fsys.noPlace = true, noPlace
	if before != "" {
		require.NoError(t, put(t, s, "a", before))
	}
	fsys.reset(n, lasts, cause)
	err := put(t, s, "a", after)
	steps := fsys.taken()
	fsys.reset(-1, false, nil)
	if len(steps) <= n {
		require.NoError(t, err)
		return false
	}
	want := before
	if err == nil {
		want = after
	} else {
		require.ErrorIs(t, err, cause)
		if errors.Is(cause, syscall.ENOSPC) {
			require.Equal(t, fault.StorageFull, fault.KindOf(err), steps[n])
		}
	}
	// Where the disk goes on failing, not even the rename can be undone: the new
	// blob, whole, stays in sight though it was refused.
	undone := !lasts || !strings.HasPrefix(steps[n], "syncDir a")
	if got := content(t, s, "a"); undone || got != after {
		require.Equal(t, want, got, "%s fails (then all: %v)", steps[n], lasts)
	}
	if err != nil && !lasts {
		require.Zero(t, tmpFiles(t, s), "%s fails", steps[n])
	}
	again, err := open(s.cfg, Deps{Log: s.log}, osFS{})
	require.NoError(t, err)
	require.Equal(t, content(t, s, "a"), content(t, again, "a"))
	require.Zero(t, tmpFiles(t, again))
	require.NoError(t, put(t, again, "a", "next"), "the store goes on")
	return true
}

// A failed sync is reported and not tried again.
func TestSyncIsNotRepeated(t *testing.T) {
	for _, step := range []string{"sync new", "syncDir abcdefg"} {
		s, fsys := faultStore(t)
		require.NoError(t, put(t, s, "abcdefg", "makes the folder known"))
		fsys.reset(-1, false, nil)
		require.NoError(t, put(t, s, "abcdefgh", "x"))
		require.NoError(t, s.Delete(t.Context(), blob("abcdefgh")))
		at := -1
		for i, name := range fsys.taken() {
			if name == step && at < 0 {
				at = i
			}
		}
		require.GreaterOrEqual(t, at, 0)
		fsys.reset(at, false, errInjected)
		require.ErrorIs(t, put(t, s, "abcdefgh", "x"), errInjected)
		for _, name := range fsys.taken()[at+1:] {
			require.NotEqual(t, step, name)
		}
		require.Empty(t, content(t, s, "abcdefgh"))
	}
}

func TestDeleteFails(t *testing.T) {
	s, fsys := faultStore(t)
	require.NoError(t, put(t, s, "a", "x"))
	fsys.reset(0, false, errInjected)
	require.ErrorIs(t, s.Delete(t.Context(), blob("a")), errInjected)
	require.Equal(t, "x", content(t, s, "a"))
	fsys.reset(1, false, errInjected)
	require.ErrorIs(t, s.Delete(t.Context(), blob("a")), errInjected, "removed, but not durably")
	fsys.reset(-1, false, nil)
	require.NoError(t, s.Delete(t.Context(), blob("a")))
	require.Contains(t, fsys.taken(), "syncDir a", "the repeat makes it durable")
}

// An unknown amount of room refuses nothing; too little refuses before reading.
func TestMinFree(t *testing.T) {
	s, _ := faultStore(t)
	s.cfg.MinFree = 1000
	for _, c := range []struct {
		free, size int64
		err        error
		kind       fault.Kind
	}{
		{1003, 3, nil, ""}, {1002, 3, nil, fault.StorageFull}, {999, -1, nil, fault.StorageFull}, {1000, -1, nil, ""},
		{0, 3, errInjected, ""},
	} {
		s.free = func(string) (int64, error) { return c.free, c.err }
		r := strings.NewReader("abc")
		_, err := s.Put(t.Context(), blob("a"), r, storage.PutOptions{Size: c.size})
		require.Equal(t, c.kind, fault.KindOf(err), c)
		if c.kind != "" {
			require.Equal(t, 3, r.Len(), "the body is not touched")
		}
	}
	free, err := volume.FreeBytes(s.cfg.Dir)
	require.NoError(t, err)
	require.Positive(t, free)
}

// Writers that come while a folder's fsync is running share the next one, and
// none returns on the strength of one that began before its rename.
func TestFolderSyncIsShared(t *testing.T) {
	const writers = 20
	s, fsys := faultStore(t)
	require.NoError(t, put(t, s, "shared-0", "makes the folder"))
	fsys.reset(-1, false, nil)
	var renamed, begun sync.WaitGroup
	renamed.Add(writers)
	begun.Add(1)
	var once sync.Once
	fsys.before = func(step string) error {
		switch {
		case strings.HasPrefix(step, "place"):
			renamed.Done()
		case step == "syncDir shared-":
			once.Do(func() { // the first fsync lasts until all others have renamed, and wait
				begun.Done()
				renamed.Wait()
				assert.Eventually(t, func() bool {
					s.folders.mu.Lock()
					defer s.folders.mu.Unlock()
					return s.folders.groups[s.folder(storage.Finished, "shared-")].users == writers
				}, time.Minute, time.Millisecond)
			})
		}
		return nil
	}
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			if i > 0 {
				begun.Wait()
			}
			assert.NoError(t, put(t, s, "shared-"+string(rune('a'+i)), "x"))
		})
	}
	all.Wait()
	syncs, last := 0, ""
	for _, step := range fsys.taken() {
		if step == "syncDir shared-" {
			syncs++
		}
		if step == "syncDir shared-" || strings.HasPrefix(step, "place") {
			last = step
		}
	}
	require.Equal(t, "syncDir shared-", last, "no rename without an fsync after it")
	require.Less(t, syncs, writers/2, "shared by many")
	require.Empty(t, s.folders.groups)
	require.Empty(t, s.keys.held)
}

// A Put whose folder fsync fails must not take back a later Put's blob.
func TestTakeBackSparesLater(t *testing.T) {
	s, fsys := faultStore(t)
	require.NoError(t, put(t, s, "a", "old"))
	reached, proceed := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fsys.before = func(step string) (err error) {
		if step == "syncDir a" {
			once.Do(func() { close(reached); <-proceed; err = errInjected })
		}
		return err
	}
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- put(t, s, "a", "first") }()
	<-reached
	go func() { second <- put(t, s, "a", "second") }()
	require.Eventually(t, func() bool {
		s.keys.mu.Lock()
		defer s.keys.mu.Unlock()
		return s.keys.held[blob("a")].users == 2 // the second has come as far as it can
	}, time.Minute, time.Millisecond)
	close(proceed)
	require.ErrorIs(t, <-first, errInjected)
	require.NoError(t, <-second)
	require.Equal(t, "second", content(t, s, "a"))
}

// Many folders do not fill the memory: what is known of them is forgotten.
func TestKnownFoldersAreBounded(t *testing.T) {
	f := newFolders(nopFS{})
	for i := range 3 * maxKnown {
		require.NoError(t, f.ensure(filepath.Join("x", strconv.Itoa(i))))
		require.LessOrEqual(t, len(f.known), maxKnown)
	}
}

type nopFS struct{ osFS }

func (nopFS) mkdir(string) error   { return nil }
func (nopFS) syncDir(string) error { return nil }

// A closed body must not read from a buffer that is another blob's by now.
func TestClosedBodyGivesNothing(t *testing.T) {
	s, _ := faultStore(t)
	require.NoError(t, put(t, s, "a", "secret"))
	obj, err := s.Get(t.Context(), blob("a"), storage.Whole())
	require.NoError(t, err)
	require.NoError(t, obj.Body.Close())
	_, err = obj.Body.Read(make([]byte, 6))
	require.ErrorIs(t, err, os.ErrClosed)
	_, err = io.Copy(&bytes.Buffer{}, obj.Body)
	require.ErrorIs(t, err, os.ErrClosed)
}

// What the disk does not give counts as damage, however it is read.
func TestUnreadableIsDamaged(t *testing.T) {
	for _, size := range []int{10, 200_000, 2_000_000} {
		s, fsys := faultStore(t)
		ref := blob("key")
		require.NoError(t, put(t, s, "key", strings.Repeat("x", size)))
		s.fs = badSector{fsys}
		for name, read := range map[string]func() error{
			"stat":   func() error { _, err := s.Stat(t.Context(), ref); return err },
			"verify": func() error { return s.Verify(t.Context(), ref, nil) },
			"get":    func() error { return readAll(s.Get(t.Context(), ref, storage.Whole())) },
			"part":   func() error { return readAll(s.Get(t.Context(), ref, storage.Span{Length: 5})) },
			"unchecked": func() error {
				return readAll(s.GetUnchecked(t.Context(), ref))
			},
		} {
			err := read()
			if name == "stat" {
				require.NoError(t, err, "the footer can be read")
				continue
			}
			require.ErrorIs(t, err, syscall.EIO, "%s of %d", name, size)
			require.True(t, s.Damaged(err), "%s of %d", name, size)
		}
		require.False(t, s.Damaged(fs.ErrPermission))
		require.False(t, s.Damaged(nil))
	}
}

func readAll(obj storage.Object, err error) error {
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, obj.Body)
	return errors.Join(err, obj.Body.Close())
}

// badSector is a file system whose files cannot be read at their beginnings.
type badSector struct{ fileSystem }

func (b badSector) open(path string) (file, error) {
	f, err := b.fileSystem.open(path)
	return badFile{f}, err
}

type badFile struct{ file }

func (badFile) Read([]byte) (int, error) { return 0, &os.PathError{Op: "read", Err: syscall.EIO} }

func (f badFile) ReadAt(p []byte, at int64) (int, error) {
	if at == 0 {
		return f.Read(p)
	}
	return f.file.ReadAt(p, at)
}
