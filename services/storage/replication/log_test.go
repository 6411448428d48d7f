package replication

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/storage"
)

func someRef(i int) storage.Ref {
	return storage.Ref{State: storage.Finished, Key: fmt.Sprintf("key-%05d", i)}
}

func putLine(i int, stamp int64) record {
	return record{op: opPut, ref: someRef(i), stamp: stamp, size: int64(i), sha: strings.Repeat("0", 64)}
}

func openTestLog(t *testing.T, dir string) *changeLog {
	t.Helper()
	l, err := openLog(dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.close() })
	return l
}

func add(t *testing.T, l *changeLog, r record) int64 {
	t.Helper()
	seq, err := l.append(r)
	require.NoError(t, err)
	return seq
}

// readAll follows a log from a number on, in pieces.
func readAll(t *testing.T, l *changeLog, from int64) (all []record) {
	t.Helper()
	for {
		found, next, err := l.read(from, 7)
		require.NoError(t, err)
		if len(found) == 0 {
			return all
		}
		for _, r := range found {
			require.GreaterOrEqual(t, r.seq, from)
		}
		require.Greater(t, next, found[len(found)-1].seq)
		all, from = append(all, found...), next
	}
}

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	for _, r := range []record{
		putLine(3, 17), {op: opDelete, seq: 5, ref: someRef(1), stamp: -1}, {op: opStart, seq: 1 << 40},
	} {
		line := r.appendTo(nil)
		got, err := parseRecord(line[:len(line)-1])
		require.NoError(t, err)
		require.Equal(t, r, got)
		for i := range len(line) - 1 { // each byte counts
			bad := append([]byte(nil), line[:len(line)-1]...)
			bad[i] ^= 1
			_, err := parseRecord(bad)
			require.ErrorIs(t, err, errRecord, "byte %d of %q", i, line)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add(string(putLine(3, 17).appendTo(nil)))
	f.Add("d 1 2 finished ../x 00000000")
	f.Fuzz(func(t *testing.T, line string) {
		r, err := parseRecord([]byte(line))
		if err != nil {
			return
		}
		if string(r.appendTo(nil)) != line+"\n" || r.op != opStart && r.ref.Validate() != nil {
			t.Errorf("%q was read as %+v", line, r)
		}
	})
}

// A log goes on with its identity, what it knew, and numbers that nobody had,
// also where a crash took its end.
func TestALogIsOpenedAgain(t *testing.T) {
	dir := t.TempDir()
	l := openTestLog(t, dir)
	epoch := l.epoch
	for i := range 300 {
		add(t, l, putLine(i, int64(i)))
	}
	last := add(t, l, record{op: opDelete, ref: someRef(7), stamp: 1000})
	require.NoError(t, l.close())

	path := filepath.Join(dir, "log.1")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	whole := len(data)
	for _, cut := range []int{whole, whole - 1, whole - 40, whole - 5000} {
		require.NoError(t, os.WriteFile(path, data[:cut], 0o600))
		l = openTestLog(t, dir)
		require.Equal(t, epoch, l.epoch)
		seq := add(t, l, putLine(999, 2000))
		require.Greater(t, seq, last, "a number means one thing only")
		_, buried := l.tomb(someRef(7))
		require.Equal(t, cut == whole, buried)
		all := readAll(t, l, 0)
		require.Equal(t, seq, all[len(all)-1].seq)
		require.Equal(t, someRef(0), all[0].ref)
		require.NoError(t, l.close())
	}
	// A damaged line in the middle costs that line.
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
	l = openTestLog(t, dir)
	require.Equal(t, 1, l.damaged)
	require.Len(t, readAll(t, l, 0), 300)
	// A log without its head is another one's.
	require.NoError(t, l.close())
	data[3] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
	l = openTestLog(t, dir)
	require.NotEqual(t, epoch, l.epoch)
	require.Empty(t, readAll(t, l, 0))
}

// Readers get each line once, from any number on, while others write.
func TestALogIsReadWhileItGrows(t *testing.T) {
	l := openTestLog(t, t.TempDir())
	const n = 2000
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range n / 4 {
				_, err := l.append(putLine(w*n/4+i, 1))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[storage.Ref]bool{}
	for from := int64(0); len(seen) < n; {
		_, _, changed := l.bounds()
		found, next, err := l.read(from, 50)
		require.NoError(t, err)
		for _, r := range found {
			require.False(t, seen[r.ref])
			seen[r.ref] = true
		}
		if from = next; len(found) == 0 {
			<-changed
		}
	}
	writers.Wait()
	require.NoError(t, l.sync())
}

// Compaction keeps the last line of each blob under its number, and forgets old
// deletions, for readers that are in the middle and for the next start.
func TestCompaction(t *testing.T) {
	dir := t.TempDir()
	l := openTestLog(t, dir)
	var last int64
	for round := range 3 {
		for i := range 1000 {
			last = add(t, l, putLine(i, int64(round)))
		}
	}
	l.count(1000)
	require.False(t, l.wasteful(0))
	for i := range 900 {
		last = add(t, l, record{op: opDelete, ref: someRef(i), stamp: int64(100 + i)})
	}
	l.count(-900)
	for range 3 {
		for i := 900; i < 1000; i++ {
			add(t, l, putLine(i, 5))
		}
	}
	for range 2000 {
		last = add(t, l, putLine(950, 6))
	}
	require.True(t, l.wasteful(0))
	before := readAll(t, l, last-10)
	_, forgotten, _ := l.bounds()
	require.Zero(t, forgotten)

	const cut = 100 + 300 // the first 300 deletions are forgotten
	require.NoError(t, l.compact(cut))
	require.False(t, l.wasteful(cut))
	check := func() {
		t.Helper()
		all := readAll(t, l, 0)
		require.Len(t, all, 100+600)
		_, forgotten, _ := l.bounds()
		require.Less(t, forgotten, last)
		require.Equal(t, before[len(before)-1], all[len(all)-1])
		_, buried := l.tomb(someRef(299))
		require.False(t, buried)
		stamp, buried := l.tomb(someRef(300))
		require.True(t, buried)
		require.EqualValues(t, 400, stamp)
		for _, r := range all {
			if r.op == opDelete {
				require.Greater(t, r.seq, forgotten)
			}
		}
	}
	check()
	require.NoError(t, l.close())
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "log.2")}, files)
	l = openTestLog(t, dir)
	check()
	require.Greater(t, add(t, l, putLine(1, 7)), last)
}

// Lines that are written while the log is compacted are kept, and a reader that
// is in the middle misses none.
func TestCompactionUnderLoad(t *testing.T) {
	l := openTestLog(t, t.TempDir())
	stop := make(chan struct{})
	var compactor sync.WaitGroup
	compactor.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := l.compact(0); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var seen []int64
	from := int64(0)
	for i := range 3000 {
		seq := add(t, l, putLine(i, 1))
		if i%7 == 0 {
			found, next, err := l.read(from, 1000)
			require.NoError(t, err)
			for _, r := range found {
				seen = append(seen, r.size)
			}
			require.Equal(t, seq+1, next)
			from = next
		}
	}
	close(stop)
	compactor.Wait()
	for _, r := range readAll(t, l, from) {
		seen = append(seen, r.size)
	}
	require.Len(t, seen, 3000)
	for i, size := range seen {
		require.EqualValues(t, i, size)
	}
	require.Len(t, readAll(t, l, 0), 3000)
}

// An fsync that fails is a lost write, and stays one.
func TestALogThatCannotBeSynced(t *testing.T) {
	l := openTestLog(t, t.TempDir())
	add(t, l, putLine(1, 1))
	real := l.f
	broken, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	require.NoError(t, broken.Close())
	l.f = broken
	require.ErrorIs(t, l.sync(), errLogBroken)
	l.f = real
	require.ErrorIs(t, l.sync(), errLogBroken)
	require.ErrorIs(t, l.compact(0), errLogBroken)
}
