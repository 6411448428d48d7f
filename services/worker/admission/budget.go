package admission

import (
	"bufio"
	"bytes"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

const (
	// share of the memory that there is, in tenths: the rest is for the worker
	// itself, for pages of files, and for estimates that are short.
	shareTenths = 7
	// unknown stands for the memory of a machine that does not tell.
	unknown = 4 << 30
)

// DefaultBudget is seven tenths of the memory that this process may use: the
// smallest limit of its control groups (version 2 or 1), or all that the machine
// has. root is the root of the file system, os.DirFS("/"). Where the machine does
// not tell, 4 GiB are assumed.
func DefaultBudget(root fs.FS) int64 {
	limit := memTotal(root)
	for _, group := range groups(root) {
		if n := number(root, group); n > 0 && (limit == 0 || n < limit) {
			limit = n
		}
	}
	if limit == 0 {
		limit = unknown
	}
	return limit / 10 * shareTenths
}

// memTotal is the memory of the machine; 0 where it does not tell.
func memTotal(root fs.FS) int64 {
	b, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) >= 2 && f[0] == "MemTotal:" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// groups lists the files with the limits of the control groups that this process
// is in, and of those above them. In a container that sees only its own group,
// the path may not be there, but the root is.
func groups(root fs.FS) (files []string) {
	b, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		part := strings.SplitN(s.Text(), ":", 3)
		if len(part) != 3 {
			continue
		}
		base, file := "sys/fs/cgroup", "memory.max"
		if part[1] != "" {
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
			if !strings.Contains(","+part[1]+",", ",memory,") {
				continue
			}
		}
		for at := path.Clean("/" + part[2]); ; at = path.Dir(at) {
			files = append(files, path.Join(base, at, file))
			if at == "/" {
				break
			}
		}
	}
	return files
}

// number reads a limit; 0 for none ("max") and for one that cannot be read.
func number(root fs.FS, name string) int64 {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
