package replication

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"imagemill/services/storage"
)

const (
	logPrefix = "log."
	logMagic  = "imagemill-log 1"
	// markEvery is how many lines share an entry of the index that is kept in memory.
	markEvery = 64
	// runBits is how many numbers each opening of a log has for itself.
	runBits = 32
	// readPiece is how much of the log is read at once, in bytes.
	readPiece = 64 << 10
)

// errLogBroken says that the log could not be synced: what it had not synced by
// then may be lost in a power cut, so it takes no deletions any more.
var errLogBroken = errors.New("the replication log could not be written; restart the storage once its disk works")

// keyHash stands for a ref in memory: two hashes of 64 bits.
type keyHash [2]uint64

// changeLog is the append-only file that says what a node holds. A line is
// written when a blob is durable, and synced by nobody: what a power cut takes of
// its end, a comparison with the folder brings back. Deletions are synced before
// anything is removed. Numbers rise, also over a crash: each opening goes on far
// above all that were given out before, so a number never means two things.
type changeLog struct {
	dir   string
	seeds [2]maphash.Seed

	mu         sync.Mutex
	f          *os.File // replaced by compaction; readers may still hold the old one
	generation int
	epoch      string
	forgotten  int64 // the highest number of a deletion that was dropped
	next       int64
	size       int64
	lines      int
	damaged    int // lines that could not be read at the start
	marks      []mark
	sinceMark  int
	tombs      map[keyHash]int64 // stamps of deletions
	held       map[keyHash]bool  // until the folder has been walked: whether each was found
	stamp      int64             // the highest
	live       int
	changed    chan struct{} // closed by the next line, and made anew
	awaited    bool          // somebody has changed
	line       []byte        // for append to write into

	syncing sync.Mutex
	synced  int64 // bytes of f that are durable
	broken  error
}

// mark says where a line stands.
type mark struct{ seq, at int64 }

// openLog opens the newest log in a folder, or begins one with an identity of its own.
func openLog(dir string) (*changeLog, error) {
	l := &changeLog{
		dir: dir, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		tombs: map[keyHash]int64{}, held: map[keyHash]bool{}, changed: make(chan struct{}),
	}
	if err := errors.Join(os.MkdirAll(dir, 0o750), syncDir(filepath.Dir(dir))); err != nil {
		return nil, err
	}
	if err := l.find(); err != nil {
		return nil, err
	}
	ok, err := l.load()
	l.live = len(l.held)
	if err == nil && !ok {
		err = l.begin()
	}
	if err == nil {
		err = l.start()
	}
	if err != nil {
		if l.f != nil {
			err = errors.Join(err, l.f.Close())
		}
		return nil, err
	}
	return l, nil
}

// find picks the newest generation and removes what compactions left behind.
func (l *changeLog) find() error {
	names, err := filepath.Glob(filepath.Join(l.dir, logPrefix+"*"))
	if err != nil {
		return err
	}
	for _, path := range names {
		if n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(path), logPrefix)); err == nil {
			l.generation = max(l.generation, n)
		}
	}
	for _, path := range names {
		if path != l.path(l.generation) {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *changeLog) path(generation int) string {
	return filepath.Join(l.dir, logPrefix+strconv.Itoa(generation))
}

// load reads the log; false where there is none that begins as one should.
func (l *changeLog) load() (bool, error) {
	f, err := os.OpenFile(l.path(l.generation), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	l.f = f
	lines := bufio.NewReaderSize(f, readPiece)
	head, err := lines.ReadSlice('\n')
	if err != nil || !l.parseHead(bytes.TrimSuffix(head, []byte("\n"))) {
		l.f = nil
		return false, f.Close()
	}
	l.size = int64(len(head))
	for {
		line, err := lines.ReadSlice('\n')
		if err == nil {
			if r, perr := parseRecord(line[:len(line)-1]); perr == nil && r.seq >= l.next {
				l.note(r, l.size)
			} else {
				l.damaged++
			}
			l.size += int64(len(line))
			continue
		}
		if errors.Is(err, bufio.ErrBufferFull) { // a hole of zeros, say
			l.damaged++
			l.size += int64(len(line))
			continue
		}
		if errors.Is(err, io.EOF) {
			if len(line) > 0 { // the end that a crash tore off
				l.damaged++
				return true, f.Truncate(l.size)
			}
			return true, nil
		}
		return false, err
	}
}

func head(epoch string, forgotten, next int64) []byte {
	b := fmt.Appendf(nil, "%s %s %d %d ", logMagic, epoch, forgotten, next)
	return append(appendHex(b, checksum(b)), '\n')
}

func (l *changeLog) parseHead(line []byte) bool {
	fields := strings.Fields(string(line))
	if len(fields) != 6 {
		return false
	}
	forgotten, err1 := strconv.ParseInt(fields[3], 10, 64)
	next, err2 := strconv.ParseInt(fields[4], 10, 64)
	if err1 != nil || err2 != nil || string(head(fields[2], forgotten, next)) != string(line)+"\n" {
		return false
	}
	l.epoch, l.forgotten, l.next = fields[2], forgotten, next
	return true
}

// begin makes a new log.
func (l *changeLog) begin() error {
	l.generation++
	l.epoch, l.forgotten, l.next = strings.ReplaceAll(uuid.NewString(), "-", ""), 0, 0
	b := head(l.epoch, 0, 0)
	f, err := writeNew(l.path(l.generation), func(w io.Writer) error { _, err := w.Write(b); return err })
	l.f, l.size = f, int64(len(b))
	return err
}

// writeNew makes a file durable before it gets its name, and its name after.
func writeNew(path string, write func(io.Writer) error) (*os.File, error) {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640) //nolint:gosec // as the blobs are
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, readPiece)
	err = write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(tmp))
	}
	return f, nil
}

// start takes numbers that nobody had, whatever was lost of the end, durably.
func (l *changeLog) start() error {
	first := (l.next>>runBits + 1) << runBits
	if l.next == 0 {
		first = 1
	}
	l.next = first
	if _, err := l.append(record{op: opStart}); err != nil {
		return err
	}
	return l.sync()
}

// note takes a line into what is known of the log.
func (l *changeLog) note(r record, at int64) {
	if l.sinceMark == 0 {
		l.marks = append(l.marks, mark{r.seq, at})
	}
	l.sinceMark = (l.sinceMark + 1) % markEvery
	l.lines++
	l.next, l.stamp = r.seq+1, max(l.stamp, r.stamp)
	h := l.hash(r.ref)
	switch r.op {
	case opPut:
		delete(l.tombs, h)
		if l.held != nil {
			l.held[h] = false
		}
	case opDelete:
		l.tombs[h] = r.stamp
		delete(l.held, h)
	case opStart:
	}
}

func (l *changeLog) hash(ref storage.Ref) keyHash {
	var h keyHash
	for i, seed := range l.seeds {
		var m maphash.Hash
		m.SetSeed(seed)
		_, _ = m.WriteString(string(ref.State))
		_ = m.WriteByte('/')
		_, _ = m.WriteString(ref.Key)
		h[i] = m.Sum64()
	}
	return h
}

// append writes a line and gives its number. It is not synced.
func (l *changeLog) append(r record) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.seq = l.next
	l.line = r.appendTo(l.line[:0])
	line := l.line
	// Always at the end that is known to be good: a line that was cut short by a full
	// disk is written over.
	if _, err := l.f.WriteAt(line, l.size); err != nil {
		return 0, fmt.Errorf("append to the replication log: %w", err)
	}
	l.note(r, l.size)
	l.size += int64(len(line))
	if l.awaited {
		close(l.changed)
		l.changed, l.awaited = make(chan struct{}), false
	}
	return r.seq, nil
}

// sync returns once every line that was appended before the call is durable; who
// waits for one fsync shares the next. One that failed is never tried again.
func (l *changeLog) sync() error {
	l.mu.Lock()
	want := l.size
	generation := l.generation
	l.mu.Unlock()
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	f, size, current := l.f, l.size, l.generation
	l.mu.Unlock()
	if l.broken != nil {
		return l.broken
	}
	if current != generation || l.synced >= want {
		return nil // compaction syncs all
	}
	if err := f.Sync(); err != nil {
		l.broken = errors.Join(errLogBroken, err)
		return l.broken
	}
	l.synced = size
	return nil
}

// tomb gives the stamp at which a blob was deleted; false where it was not, or so
// long ago that it is forgotten.
func (l *changeLog) tomb(ref storage.Ref) (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	stamp, ok := l.tombs[l.hash(ref)]
	return stamp, ok
}

// bounds gives the number that comes next, the highest forgotten one, and what is
// closed when there is more.
func (l *changeLog) bounds() (next, forgotten int64, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.awaited = true
	return l.next, l.forgotten, l.changed
}

// read gives the lines from a number on, at most limit of them, and the number to
// go on from.
func (l *changeLog) read(from int64, limit int) (found []record, next int64, err error) {
	l.mu.Lock()
	f, end, next := l.f, l.size, l.next
	i, _ := slices.BinarySearchFunc(l.marks, from, func(m mark, seq int64) int { return int(min(1, max(-1, m.seq-seq))) })
	if i == len(l.marks) || i > 0 && l.marks[i].seq > from {
		i--
	}
	at := int64(0)
	if i >= 0 {
		at = l.marks[i].at
	}
	l.mu.Unlock()
	if from >= next {
		return nil, next, nil
	}
	err = scan(f, at, end, func(r record, _ int64) bool {
		if r.seq >= from && r.op != opStart {
			if len(found) == limit {
				next = found[limit-1].seq + 1
				return false
			}
			found = append(found, r)
		}
		return true
	})
	return found, next, err
}

// scan gives the lines between two places until each says that it is enough.
func scan(f *os.File, at, end int64, each func(r record, at int64) bool) error {
	lines := bufio.NewReaderSize(io.NewSectionReader(f, at, end-at), readPiece)
	for {
		line, err := lines.ReadSlice('\n')
		if err == nil {
			if r, perr := parseRecord(line[:len(line)-1]); perr == nil && !each(r, at) {
				return nil
			}
		} else if errors.Is(err, io.EOF) {
			return nil
		} else if !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("read the replication log: %w", err)
		}
		at += int64(len(line))
	}
}

// close closes the file.
func (l *changeLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}

// lastStamp gives the highest stamp that was read or written.
func (l *changeLog) lastStamp() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stamp
}

// found notes that a blob is in the folder; false where the log says that it is
// not held. Once all of the folder was walked, what is left was not found.
func (l *changeLog) found(ref storage.Ref) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.hash(ref)
	_, ok := l.held[h]
	if ok {
		l.held[h] = true
	}
	return ok
}

// unfound gives what was not found.
func (l *changeLog) unfound() map[keyHash]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := map[keyHash]bool{}
	for h, found := range l.held {
		if !found {
			left[h] = true
		}
	}
	return left
}

// walked ends the taking of notes.
func (l *changeLog) walked() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = nil
}

// each gives the lines that are there now, until one is enough.
func (l *changeLog) each(do func(record) bool) error {
	l.mu.Lock()
	f, end := l.f, l.size
	l.mu.Unlock()
	return scan(f, 0, end, func(r record, _ int64) bool { return do(r) })
}
