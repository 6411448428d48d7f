package sqlite

import (
	"bytes"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// cutVFS stands between SQLite and the system's files while it is the default
// one, and records what is written and synced, so that [cutVFS.after] can make
// what a power cut may leave:
//
//   - Of what was written to a file since its last sync, each write may be there,
//     be missing, be there in part, or have put garbage where it went.
//   - A file that was removed may be back, until the folder has been synced, which
//     SQLite does with the first sync of a log that it has made.
//
// It takes the names of files for durable once they are made: Open syncs the
// folder of the database, and nothing of a log counts before its first sync.
// The index of the log (-shm) is left out: it is never read after a restart.
type cutVFS struct {
	tls  *libc.TLS
	real *sqlite3.Tsqlite3_vfs
	mine *sqlite3.Tsqlite3_vfs
	// calls are kept alive for SQLite, which has their addresses.
	calls struct {
		open     openFn
		remove   deleteFn
		close    closeFn
		write    writeFn
		truncate cutFn
		sync     syncFn
	}

	mu      sync.Mutex
	methods map[uintptr]*sqlite3.Tsqlite3_io_methods // the changed ones, by the real ones
	under   map[uintptr]*sqlite3.Tsqlite3_io_methods // the real ones, by the changed ones
	paths   map[uintptr]string                       // of open files
	log     []writeEvent
	// omit leaves out the syncs of some files.
	omit func(path string) bool
}

// writeEvent is one call that changes a file.
type writeEvent struct {
	path string
	kind byte
	at   int64 // where a write goes, or the new length
	data []byte
}

const (
	aWrite    = 'w'
	aCut      = 't'
	aSync     = 's'
	aRemoval  = 'r'
	aMark     = 'm'
	sectorLen = 512
)

// at turns an address into a pointer; what it points to is not Go's to move.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// outside puts a copy of a struct into memory that is not Go's: SQLite holds it by
// its address.
func outside[T any](tls *libc.TLS, v T) *T {
	p := at[T](libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(v))))
	*p = v
	return p
}

// address is that of such a struct.
func address[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// fn gives what a function pointer of SQLite's stands for.
func fn[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ uintptr }{p})) }

// pointer is the reverse; the function has to be kept alive.
func pointer[F any](f *F) uintptr { return *(*uintptr)(unsafe.Pointer(f)) }

type (
	openFn   = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	deleteFn = func(tls *libc.TLS, vfs, name uintptr, sync int32) int32
	closeFn  = func(tls *libc.TLS, file uintptr) int32
	writeFn  = func(tls *libc.TLS, file, buf uintptr, n int32, at int64) int32
	cutFn    = func(tls *libc.TLS, file uintptr, n int64) int32
	syncFn   = func(tls *libc.TLS, file uintptr, flags int32) int32
)

// newCutVFS records all that SQLite does until stop.
func newCutVFS(t testing.TB) *cutVFS {
	t.Helper()
	v := &cutVFS{
		tls: libc.NewTLS(), methods: map[uintptr]*sqlite3.Tsqlite3_io_methods{},
		under: map[uintptr]*sqlite3.Tsqlite3_io_methods{}, paths: map[uintptr]string{},
	}
	v.real = at[sqlite3.Tsqlite3_vfs](sqlite3.Xsqlite3_vfs_find(v.tls, 0))
	name, err := libc.CString("cut")
	require.NoError(t, err)
	v.mine = outside(v.tls, *v.real)
	v.mine.FzName, v.mine.FpNext = name, 0
	v.calls.open, v.calls.remove, v.calls.close = v.open, v.remove, v.close
	v.calls.write, v.calls.truncate, v.calls.sync = v.write, v.truncate, v.sync
	v.mine.FxOpen, v.mine.FxDelete = pointer(&v.calls.open), pointer(&v.calls.remove)
	require.Zero(t, sqlite3.Xsqlite3_vfs_register(v.tls, address(v.mine), 1))
	return v
}

// stop ends the record; all that was opened under it is closed.
func (v *cutVFS) stop(t testing.TB) {
	t.Helper()
	require.Zero(t, sqlite3.Xsqlite3_vfs_unregister(v.tls, address(v.mine)))
	for _, m := range v.methods {
		libc.Xfree(v.tls, address(m))
	}
	libc.Xfree(v.tls, v.mine.FzName)
	libc.Xfree(v.tls, address(v.mine))
	v.tls.Close()
}

func (v *cutVFS) open(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	rc := fn[openFn](v.real.FxOpen)(tls, vfs, name, file, flags, out)
	f := at[sqlite3.Tsqlite3_file](file)
	if rc != sqlite3.SQLITE_OK || f.FpMethods == 0 || name == 0 {
		return rc
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	m := v.methods[f.FpMethods]
	if m == nil {
		below := at[sqlite3.Tsqlite3_io_methods](f.FpMethods)
		m = outside(tls, *below)
		m.FxWrite, m.FxTruncate = pointer(&v.calls.write), pointer(&v.calls.truncate)
		m.FxSync, m.FxClose = pointer(&v.calls.sync), pointer(&v.calls.close)
		v.methods[f.FpMethods], v.under[address(m)] = m, below
	}
	f.FpMethods = address(m)
	v.paths[file] = libc.GoString(name)
	return rc
}

// below gives the real methods of an open file.
func (v *cutVFS) below(file uintptr) *sqlite3.Tsqlite3_io_methods {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.under[at[sqlite3.Tsqlite3_file](file).FpMethods]
}

func (v *cutVFS) note(path string, file uintptr, e writeEvent) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e.path = path; file != 0 {
		e.path = v.paths[file]
	}
	v.log = append(v.log, e)
}

// mark is a moment of its own.
func (v *cutVFS) mark() int {
	v.note("", 0, writeEvent{kind: aMark})
	return v.length()
}

func (v *cutVFS) length() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.log)
}

func (v *cutVFS) close(tls *libc.TLS, file uintptr) int32 {
	return fn[closeFn](v.below(file).FxClose)(tls, file)
}

func (v *cutVFS) write(tls *libc.TLS, file, buf uintptr, n int32, offset int64) int32 {
	v.note("", file, writeEvent{kind: aWrite, at: offset, data: bytes.Clone(unsafe.Slice(at[byte](buf), n))})
	return fn[writeFn](v.below(file).FxWrite)(tls, file, buf, n, offset)
}

func (v *cutVFS) truncate(tls *libc.TLS, file uintptr, n int64) int32 {
	v.note("", file, writeEvent{kind: aCut, at: n})
	return fn[cutFn](v.below(file).FxTruncate)(tls, file, n)
}

// sync is none on the real disk, whose power does not fail.
func (v *cutVFS) sync(_ *libc.TLS, file uintptr, _ int32) int32 {
	v.mu.Lock()
	path := v.paths[file]
	v.mu.Unlock()
	if v.omit == nil || !v.omit(path) {
		v.note(path, 0, writeEvent{kind: aSync})
	}
	return sqlite3.SQLITE_OK
}

func (v *cutVFS) remove(tls *libc.TLS, vfs, name uintptr, sync int32) int32 {
	rc := fn[deleteFn](v.real.FxDelete)(tls, vfs, name, sync)
	if rc == sqlite3.SQLITE_OK {
		v.note(libc.GoString(name), 0, writeEvent{kind: aRemoval})
	}
	return rc
}

// cutFile is what a power cut may leave of one file.
type cutFile struct {
	sure  []byte
	tail  []writeEvent
	ghost []byte // one of this name that was removed, and may be back
	gone  bool
	named bool // has been synced since it was made
}

// after gives what the first n events may leave, by the file's name.
func (v *cutVFS) after(n int) map[string]*cutFile {
	v.mu.Lock()
	defer v.mu.Unlock()
	files := map[string]*cutFile{}
	for _, e := range v.log[:n] {
		if e.kind == aMark || strings.HasSuffix(e.path, "-shm") {
			continue
		}
		name := filepath.Base(e.path)
		f := files[name]
		if f == nil {
			f = &cutFile{}
			files[name] = f
		}
		switch e.kind {
		case aSync:
			for _, w := range f.tail {
				f.sure = w.on(f.sure)
			}
			if f.tail = nil; !f.named && !strings.HasSuffix(name, ".db") { // SQLite syncs the folder, too
				f.named = true
				for _, other := range files {
					other.ghost = nil
				}
			}
		case aRemoval:
			files[name] = &cutFile{ghost: f.sure, gone: true}
		default:
			f.tail, f.gone = append(f.tail, e), false
		}
	}
	return files
}

// on carries a change out on a file's content.
func (e writeEvent) on(content []byte) []byte {
	if e.kind == aCut {
		return content[:min(int64(len(content)), e.at)]
	}
	if more := e.at + int64(len(e.data)) - int64(len(content)); more > 0 {
		content = append(content, make([]byte, more)...)
	}
	copy(content[e.at:], e.data)
	return content
}

// maimed is what may be left of a write that was not synced.
func (e writeEvent) maimed(choose func(int) int) (_ writeEvent, there bool) {
	if e.kind == aCut {
		return e, choose(2) == 0
	}
	switch choose(4) {
	case 0:
		return e, true
	case 1:
		return e, false
	case 2:
		e.data = e.data[:min(len(e.data), sectorLen*(1+choose(1+len(e.data)/sectorLen)))]
	case 3:
		e.data = bytes.Repeat([]byte{0xa5}, len(e.data))
	}
	return e, true
}

// files makes one of the states. lasting is how many of the unsynced writes of
// each file are there; those that follow are up to choose, below n each time.
func (v *cutVFS) files(n, lasting int, choose func(n int) int) map[string][]byte {
	out, left := map[string][]byte{}, v.after(n)
	for _, name := range slices.Sorted(maps.Keys(left)) {
		f := left[name]
		if f.ghost != nil && choose(2) == 1 {
			out[name] = f.ghost
			continue
		}
		if f.gone {
			continue
		}
		content := bytes.Clone(f.sure)
		for i, e := range f.tail {
			there := true
			if i >= lasting {
				e, there = e.maimed(choose)
			}
			if there {
				content = e.on(content)
			}
		}
		out[name] = content
	}
	return out
}
