package replication

import (
	"errors"
	"io"
	"os"
)

// compactAbove is how many lines a log may have of no more use, besides as many
// as it has of use.
const compactAbove = 4096

// wasteful tells whether the log has become longer than it needs to be. Deletions
// with a stamp below cut are of no more use.
func (l *changeLog) wasteful(cut int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	expired := 0
	for _, stamp := range l.tombs {
		if stamp < cut {
			expired++
		}
	}
	waste := l.lines - l.live - len(l.tombs) + expired
	return waste > compactAbove && waste > l.lines/2
}

// count sets how many blobs are held now, by which waste is judged.
func (l *changeLog) count(change int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live += change
}

// compact writes the log anew with the last line of each blob, and without the
// deletions that have a stamp below cut. Numbers stay as they are, so who reads the
// log notices nothing; all that was read before may go on from where it was.
func (l *changeLog) compact(cut int64) error {
	l.mu.Lock()
	f, end := l.f, l.size
	l.mu.Unlock()
	last := map[keyHash]int64{}
	err := scan(f, 0, end, func(r record, _ int64) bool {
		last[l.hash(r.ref)] = r.seq
		return true
	})
	if err != nil {
		return err
	}
	l.syncing.Lock() // nobody syncs a file that is about to be replaced
	defer l.syncing.Unlock()
	if l.broken != nil {
		return l.broken
	}
	forgotten, err := l.forget(f, end, last, cut)
	if err != nil {
		return err
	}
	return l.swap(f, end, last, cut, forgotten)
}

// forget finds the highest number of a deletion that is dropped.
func (l *changeLog) forget(f *os.File, end int64, last map[keyHash]int64, cut int64) (int64, error) {
	_, forgotten, _ := l.bounds()
	err := scan(f, 0, end, func(r record, _ int64) bool {
		if r.op == opDelete && r.stamp < cut && last[l.hash(r.ref)] == r.seq {
			forgotten = max(forgotten, r.seq)
		}
		return true
	})
	return forgotten, err
}

// swap writes the new file and puts it in place. Lines that come meanwhile wait for
// the end of it, which is short: nearly all has been written by then. l.syncing is held.
func (l *changeLog) swap(f *os.File, end int64, last map[keyHash]int64, cut, forgotten int64) error {
	fresh := &changeLog{
		seeds: l.seeds, epoch: l.epoch, forgotten: forgotten, tombs: map[keyHash]int64{}, generation: l.generation + 1,
	}
	locked := false
	unlock := func() {
		if locked {
			l.mu.Unlock()
		}
	}
	defer unlock()
	file, err := writeNew(l.path(l.generation+1), func(w io.Writer) error {
		b := head(l.epoch, forgotten, 0)
		if _, err := w.Write(b); err != nil {
			return err
		}
		fresh.size = int64(len(b))
		if err := fresh.copyFrom(w, f, 0, end, func(r record) bool {
			return r.seq == last[l.hash(r.ref)] && !(r.op == opDelete && r.stamp < cut)
		}); err != nil {
			return err
		}
		l.mu.Lock()
		locked = true
		if err := fresh.copyFrom(w, f, end, l.size, func(record) bool { return true }); err != nil {
			return err
		}
		if fresh.next == l.next {
			return nil
		}
		// So that numbers go on above those of lines that were dropped.
		return fresh.copyOne(w, record{op: opStart, seq: l.next - 1})
	})
	if err != nil {
		// It may have its name already, by which the next start would prefer it.
		if rerr := os.Remove(l.path(l.generation + 1)); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
			l.broken = errors.Join(errLogBroken, rerr)
		}
		return err
	}
	old := l.path(l.generation)
	l.f, l.generation, l.size, l.forgotten = file, fresh.generation, fresh.size, forgotten
	l.lines, l.marks, l.sinceMark, l.tombs = fresh.lines, fresh.marks, fresh.sinceMark, fresh.tombs
	l.synced = l.size
	// The old file is closed by the collector, once no reader has it any more. Where
	// an open file cannot be removed, the next start does it.
	if err := os.Remove(old); err != nil && !errors.Is(err, os.ErrPermission) {
		return err
	}
	return nil
}

// copyFrom writes those lines of another log that are to be kept.
func (l *changeLog) copyFrom(w io.Writer, f *os.File, at, end int64, keep func(record) bool) error {
	var failed error
	err := scan(f, at, end, func(r record, _ int64) bool {
		if keep(r) && r.op != opStart {
			failed = l.copyOne(w, r)
		}
		return failed == nil
	})
	return errors.Join(err, failed)
}

func (l *changeLog) copyOne(w io.Writer, r record) error {
	line := r.appendTo(make([]byte, 0, maxLine))
	if _, err := w.Write(line); err != nil {
		return err
	}
	l.note(r, l.size)
	l.size += int64(len(line))
	return nil
}
