package disk

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"imagemill/internal/fault"
	"imagemill/internal/volume"
	"imagemill/services/storage"
)

// Config says where blobs lie.
type Config struct {
	// Dir is the data folder; Open makes it.
	Dir string
	// MinFree is how many bytes of the disk stay free: a Put that would leave
	// less is refused before its body is read. 0 leaves it to the disk.
	MinFree int64
}

// Deps is what a Store uses.
type Deps struct {
	Log *slog.Logger
}

const (
	tmpDir    = "tmp"
	prefixLen = 7
	// bufSize is one read or write; a blob up to it is served from one buffer.
	bufSize = 128 << 10
	// verifyFirst is the largest blob that is checked before its first byte is
	// given out.
	verifyFirst = 1 << 20
)

// Store is a storage.Store on a local disk. Make it with [Open].
type Store struct {
	cfg     Config
	log     *slog.Logger
	fs      fileSystem
	free    func(path string) (int64, error)
	space   *volume.Room
	folders *folders
	keys    keyLocks
	bufs    sync.Pool
	run     string // keeps temporary names of two processes apart
	temps   atomic.Int64
}

// Open makes the folders where they are missing, removes what a crash left in
// tmp, and gives a store over them. It starts nothing and needs no Close.
func Open(cfg Config, deps Deps) (*Store, error) {
	s, err := open(cfg, deps, osFS{})
	if err != nil {
		return nil, err
	}
	if s.fs, s.free, err = near(s.cfg.Dir); err != nil {
		return nil, fmt.Errorf("open disk store %s: %w", s.cfg.Dir, err)
	}
	s.folders.fs = s.fs
	return s, nil
}

func open(cfg Config, deps Deps, fsys fileSystem) (*Store, error) {
	if cfg.Dir == "" || cfg.MinFree < 0 || deps.Log == nil {
		return nil, errors.New("open disk store: it needs a folder, a free space of 0 or more, and a log")
	}
	s := &Store{
		cfg: cfg, log: deps.Log, fs: fsys, free: volume.FreeBytes, folders: newFolders(fsys),
		bufs: sync.Pool{New: func() any { return new([bufSize]byte) }},
	}
	var run [6]byte
	if _, err := rand.Read(run[:]); err != nil {
		return nil, fmt.Errorf("open disk store: %w", err)
	}
	s.run = hex.EncodeToString(run[:])
	if err := s.makeFolders(); err != nil {
		return nil, fmt.Errorf("open disk store %s: %w", cfg.Dir, err)
	}
	if err := s.cleanUp(); err != nil {
		return nil, fmt.Errorf("clean up disk store %s: %w", cfg.Dir, err)
	}
	s.space = volume.NewRoom("IMAGEMILL_STORAGE_DATA", s.cfg.Dir, cfg.MinFree, deps.Log, nil)
	if err := s.room(0); err != nil {
		s.space.Refused(err)
	}
	return s, nil
}

// Missing says, for /readyz, that the disk is full; nil while it is not.
func (s *Store) Missing() []string { return s.space.Missing() }

// makeFolders makes the data folder with all above it, and those in it, durably.
// The lowest that is there already may be the work of a process that was killed
// before it was durable, so its name is synced, too, where we may.
func (s *Store) makeFolders() error {
	dir, err := filepath.Abs(s.cfg.Dir)
	if err != nil {
		return err
	}
	s.cfg.Dir = dir
	var missing []string
	for p := dir; ; p = filepath.Dir(p) {
		if _, err := os.Stat(p); err == nil || !errors.Is(err, fs.ErrNotExist) || p == filepath.Dir(p) {
			if err := s.folders.sync(filepath.Dir(p)); err != nil && !cannotSync(err) {
				return err
			}
			break
		}
		missing = append([]string{p}, missing...)
	}
	for _, name := range []string{string(storage.InProgress), string(storage.Finished), tmpDir} {
		missing = append(missing, filepath.Join(dir, name))
	}
	for _, p := range missing {
		if err := s.folders.ensure(p); err != nil {
			return err
		}
	}
	return nil
}

// cannotSync reports that a folder is none of ours to sync, or of a kind that has
// no sync, rather than that its sync failed.
func cannotSync(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL)
}

// cleanUp removes temporary files of an earlier process, and folders that
// deletions have emptied (removing one that is not empty fails, as it should).
func (s *Store) cleanUp() error {
	left, err := os.ReadDir(filepath.Join(s.cfg.Dir, tmpDir))
	if err != nil {
		return err
	}
	for _, e := range left {
		if err := s.fs.remove(filepath.Join(s.cfg.Dir, tmpDir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(left) > 0 {
		s.log.Info("removed unfinished uploads of an earlier run", "files", len(left))
	}
	for _, state := range []storage.State{storage.InProgress, storage.Finished} {
		names, err := s.prefixes(state)
		if err != nil {
			return err
		}
		for _, name := range names {
			_ = s.fs.remove(s.folder(state, name))
		}
	}
	return nil
}

// folder gives the folder of the keys with a prefix.
func (s *Store) folder(state storage.State, prefix string) string {
	return filepath.Join(s.cfg.Dir, string(state), strings.ReplaceAll(prefix, ".", "+"))
}

// path gives the folder and the file of a blob. The ref is valid, so that
// neither leaves the data folder.
func (s *Store) path(ref storage.Ref) (dir, path string) {
	dir = s.folder(ref.State, prefixOf(ref.Key))
	return dir, filepath.Join(dir, ref.Key)
}

// prefixOf keeps the order: a key that is not below another has no lower prefix.
func prefixOf(key string) string { return key[:min(len(key), prefixLen)] }

// temp gives a new path in tmp.
func (s *Store) temp() string {
	return filepath.Join(s.cfg.Dir, tmpDir, fmt.Sprintf("%s-%d", s.run, s.temps.Add(1)))
}

// failed gives an error of the disk its kind.
func failed(verb string, ref storage.Ref, err error) error {
	err = fmt.Errorf("%s blob %s/%s: %w", verb, ref.State, ref.Key, err)
	if volume.IsFull(err) {
		return fault.Wrap(fault.StorageFull, "there is no room left to store this", err)
	}
	return err
}
