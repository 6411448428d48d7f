package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"imagemill/internal/fault"
	"imagemill/services/worker/engine"
)

// accept checks what a child answered and brings its results from the child's
// folder, from, into the job's. A child that has been taken over by its picture
// must not make the worker hand out another file of the machine: a result counts
// only once it lies, as a plain file, where the child cannot reach.
func accept(job engine.Job, from string, answer reply) (engine.Report, error) {
	if answer.Failure != nil {
		return engine.Report{}, answer.Failure.err()
	}
	if len(answer.Report.Renditions) != len(job.Pipeline.Renditions) {
		return engine.Report{}, rubbish("renditions are missing")
	}
	for i := range answer.Report.Renditions {
		r := &answer.Report.Renditions[i]
		base := filepath.Base(r.File)
		if r.Name != job.Pipeline.Renditions[i].Name || filepath.Dir(r.File) != from || !nameOf(base, r.Name) {
			return engine.Report{}, rubbish("a result is not where it should be")
		}
		r.File = filepath.Join(job.Dir, base)
		if err := bring(filepath.Join(from, base), r.File, r.Bytes); err != nil {
			return engine.Report{}, err
		}
	}
	return answer.Report, nil
}

func rubbish(why string) error {
	return engine.Dead("the engine answered rubbish ("+why+")", "")
}

// nameOf reports whether a file's name is the rendition's with an extension.
func nameOf(base, rendition string) bool {
	extension, ok := strings.CutPrefix(base, rendition+".")
	return ok && extension != "" && len(extension) <= 8 && !strings.ContainsFunc(extension, func(c rune) bool {
		return c < '0' || c > 'z' || (c > '9' && c < 'a')
	})
}

// copied is the largest result in bytes that is copied rather than moved. To
// write over the small files of the job's folder keeps their inodes, of which a
// worker with tiny pictures would free thousands a second.
const copied = 1 << 20

// bring moves one result of size bytes.
func bring(from, to string, size int64) error {
	if size > copied {
		// A file that replaces another is what ext4 takes for a document being
		// saved: it writes it out before the rename returns (auto_da_alloc).
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return notThere(err)
		}
		err := os.Rename(from, to)
		if err == nil {
			return checkMoved(to, size)
		}
		if !errors.Is(err, syscall.EXDEV) {
			return notThere(err)
		}
	}
	return copyOver(from, to, size)
}

// checkMoved looks at what was moved; nobody can put something else there now.
func checkMoved(to string, size int64) error {
	stat, err := os.Lstat(to)
	if err == nil && stat.Mode().IsRegular() && stat.Size() == size {
		return nil
	}
	return errors.Join(rubbish("a result is not where it should be"), os.RemoveAll(to))
}

// notThere is the failure to reach a result: the child's, if it made none.
func notThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) {
		return rubbish("a result is not where it should be")
	}
	return fault.Wrap(fault.Unavailable, "the engine's result cannot be taken", err)
}

// copyOver copies a plain file of exactly size bytes.
func copyOver(from, to string, size int64) (err error) {
	// Neither a link is followed nor a pipe waited for.
	in, err := engine.OpenPlain(from, os.O_RDONLY|plainOnly, 0)
	if err != nil {
		return notThere(err)
	}
	defer func() { _ = in.Close() }()
	stat, err := in.Stat()
	if err != nil || !stat.Mode().IsRegular() || stat.Size() != size {
		return rubbish("a result is not where it should be")
	}
	out, err := engine.CreateScratch(to)
	if err != nil {
		return notThere(err)
	}
	n, err := copyBytes(out, in, size)
	if err = errors.Join(err, out.Close()); err != nil {
		return notThere(fmt.Errorf("copy result: %w", err))
	}
	if n != size {
		return rubbish("a result became shorter")
	}
	return nil
}

// atOnce is the largest result in bytes that is copied by one read and one write.
const atOnce = 64 << 10

// copyBytes copies at most size bytes.
func copyBytes(out io.Writer, in io.Reader, size int64) (int64, error) {
	if size > atOnce {
		return io.Copy(out, io.LimitReader(in, size))
	}
	b := make([]byte, size)
	n, err := io.ReadFull(in, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return int64(n), nil
	}
	if err == nil {
		n, err = out.Write(b)
	}
	return int64(n), err
}
