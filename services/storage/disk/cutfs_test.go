package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// cutFS is the real file system below a folder, with a record of all that is
// changed in it, from which [cutFS.after] makes what a power cut may leave. What
// it allows is more than most file systems do:
//
//   - Each name in a folder is for itself what it was at the folder's last sync or
//     after any later change, whatever became of other names, also of the other
//     name of a rename. The sync of a file is no promise about its name.
//   - What was written to a file since its last sync may be there, be missing, or
//     be there in part; or the file is long enough but holds zeros, garbage, or
//     its end only.
//   - A sync covers what had returned before it began, once it has returned.
type cutFS struct {
	osFS
	root string

	mu    sync.Mutex
	nodes int
	at    map[string]int // what has a path now
	log   []event
	// omit leaves syncs out, as a store would that forgot them; nil for none.
	omit func(path string) bool
	// fail lets a sync fail; nil for none.
	fail func(path string) error
}

// event is a change, or the end of a sync.
type event struct {
	dir  int    // the folder of name, for a change of a name
	name string // "" for all others
	node int    // what has the name now, 0 for nothing; or what was written or synced
	data []byte // what was appended to node
	sync bool
	upTo int // a sync covers events before this one
	kind byte
}

const (
	aFolder = 'd'
	aFile   = 'f'
)

// newCutFS records what happens below root, all of which is durable now.
func newCutFS(root string) (*cutFS, error) {
	c := &cutFS{root: root, nodes: 1, at: map[string]int{root: 1}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		if d.IsDir() {
			c.name(path, c.node(), aFolder)
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		node := c.node()
		c.name(path, node, aFile)
		c.log = append(c.log, event{node: node, data: data})
		return nil
	})
	for _, node := range c.at {
		c.log = append(c.log, event{node: node, sync: true, upTo: len(c.log)})
	}
	return c, err
}

func (c *cutFS) node() int { c.nodes++; return c.nodes }

// name records that a path belongs to node from now on, 0 for none.
func (c *cutFS) name(path string, node int, kind byte) {
	dir, name := filepath.Split(path)
	c.log = append(c.log, event{dir: c.at[filepath.Clean(dir)], name: name, node: node, kind: kind})
	if c.at[path] = node; node == 0 {
		delete(c.at, path)
	}
}

// length is how many events there are: a moment at which the power may fail.
func (c *cutFS) length() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.log)
}

// mark is a moment of its own, between all others.
func (c *cutFS) mark() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, event{})
	return len(c.log)
}

func (c *cutFS) mkdir(path string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.osFS.mkdir(path); err != nil {
		return err
	}
	if c.at[path] == 0 {
		c.name(path, c.node(), aFolder)
	}
	return nil
}

func (c *cutFS) create(path string) (file, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, err := c.osFS.create(path)
	if err != nil {
		return nil, err
	}
	c.name(path, c.node(), aFile)
	return &cutFile{file: f, fs: c, path: path, node: c.at[path]}, nil
}

func (c *cutFS) rename(from, to string) error { return c.move(from, to, c.osFS.rename) }
func (c *cutFS) place(from, to string) error  { return c.move(from, to, c.osFS.place) }

func (c *cutFS) move(from, to string, do func(from, to string) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := do(from, to); err != nil {
		return err
	}
	c.name(to, c.at[from], aFile)
	c.name(from, 0, 0)
	return nil
}

func (c *cutFS) link(from, to string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.osFS.link(from, to); err != nil {
		return err
	}
	c.name(to, c.at[from], aFile)
	return nil
}

func (c *cutFS) remove(path string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.osFS.remove(path); err != nil {
		return err
	}
	c.name(path, 0, 0)
	return nil
}

func (c *cutFS) syncDir(path string) error {
	c.mu.Lock()
	node := c.at[path]
	c.mu.Unlock()
	switch {
	case node != 0:
		return c.synced(path, node)
	case strings.HasPrefix(path, c.root):
		return fs.ErrNotExist
	}
	return nil // above it all is durable
}

func (c *cutFS) synced(path string, node int) error {
	if c.fail != nil {
		if err := c.fail(path); err != nil {
			return err
		}
	}
	if c.omit != nil && c.omit(path) {
		return nil
	}
	upTo := c.length()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, event{node: node, sync: true, upTo: upTo})
	return nil
}

type cutFile struct {
	file
	fs   *cutFS
	path string
	node int
}

func (f *cutFile) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.fs.log = append(f.fs.log, event{node: f.node, data: bytes.Clone(p[:n])})
	return n, err
}

func (f *cutFile) Sync() error { return f.fs.synced(f.path, f.node) }

// remains are what a cut may leave: for each name what it may stand for, and of
// each file what is surely there and what was written after that.
type remains struct {
	names map[int]map[string][]int // of a folder; the first is sure if no other is chosen
	kinds map[int]byte
	sure  map[int][]byte
	tails map[int][]byte
}

// after gives what the first n events may leave.
func (c *cutFS) after(n int) remains {
	c.mu.Lock()
	defer c.mu.Unlock()
	type change struct{ at, node int }
	names, writes := map[int]map[string][]change{}, map[int][]int{}
	r := remains{map[int]map[string][]int{}, map[int]byte{}, map[int][]byte{}, map[int][]byte{}}
	for i, e := range c.log[:n] {
		switch {
		case e.name != "":
			if names[e.dir] == nil {
				names[e.dir] = map[string][]change{}
			}
			names[e.dir][e.name] = append(names[e.dir][e.name], change{i, e.node})
			if e.node != 0 {
				r.kinds[e.node] = e.kind
			}
		case e.sync:
			for name, all := range names[e.node] {
				for len(all) > 1 && all[1].at < e.upTo {
					all = all[1:]
				}
				if all[0].at < e.upTo {
					all[0].at = -1 // for good
				}
				names[e.node][name] = all
			}
			for len(writes[e.node]) > 0 && writes[e.node][0] < e.upTo {
				r.sure[e.node] = append(r.sure[e.node], c.log[writes[e.node][0]].data...)
				writes[e.node] = writes[e.node][1:]
			}
		case e.node != 0:
			writes[e.node] = append(writes[e.node], i)
		}
	}
	for dir, all := range names {
		r.names[dir] = map[string][]int{}
		for name, changes := range all {
			var may []int
			if changes[0].at >= 0 {
				may = append(may, 0)
			}
			for _, ch := range changes {
				if !slices.Contains(may, ch.node) {
					may = append(may, ch.node)
				}
			}
			slices.Reverse(may) // what happened last comes first
			r.names[dir][name] = may
		}
	}
	for node, at := range writes {
		for _, i := range at {
			r.tails[node] = append(r.tails[node], c.log[i].data...)
		}
	}
	return r
}

// tree makes one of the states: by path, the content of a file, "/" for a folder.
// choose gives a number below n each time it is asked.
func (r remains) tree(choose func(n int) int) map[string]string {
	out, contents := map[string]string{}, map[int]string{}
	var walk func(path string, dir int)
	walk = func(path string, dir int) {
		for _, name := range slices.Sorted(maps.Keys(r.names[dir])) {
			may := r.names[dir][name]
			node, below := may[choose(len(may))], path+"/"+name
			switch {
			case node == 0:
			case r.kinds[node] == aFolder:
				out[below] = "/"
				walk(below, node)
			default:
				if _, ok := contents[node]; !ok {
					contents[node] = string(r.sure[node]) + torn(string(r.tails[node]), choose)
				}
				out[below] = contents[node]
			}
		}
	}
	walk("", 1)
	return out
}

// torn makes of what was not synced what may be left of it.
func torn(tail string, choose func(n int) int) string {
	if tail == "" {
		return ""
	}
	zeros := strings.Repeat("\x00", len(tail))
	all := []string{
		tail, "", tail[:len(tail)/2], zeros, strings.Repeat("?", len(tail)),
		zeros[:max(0, len(tail)-64)] + tail[max(0, len(tail)-64):],
	}
	return all[choose(len(all))]
}

// every runs make with all sequences of choices that it may make, at most most
// runs, and reports whether these were all.
func every(most int, run func(choose func(n int) int) error) (all bool, err error) {
	var path, sizes []int
	for range most {
		depth := 0
		err := run(func(n int) int {
			if depth == len(path) {
				path, sizes = append(path, 0), append(sizes, n)
			}
			depth++
			return path[depth-1]
		})
		if err != nil {
			return false, fmt.Errorf("choices %v: %w", path, err)
		}
		for len(path) > 0 && path[len(path)-1] == sizes[len(sizes)-1]-1 {
			path, sizes = path[:len(path)-1], sizes[:len(sizes)-1]
		}
		if len(path) == 0 {
			return true, nil
		}
		path[len(path)-1]++
	}
	return false, nil
}

// build makes a tree on the real disk.
func build(root string, tree map[string]string) error {
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(tree)) {
		if tree[path] == "/" {
			errs = append(errs, os.Mkdir(root+path, 0o750))
			continue
		}
		errs = append(errs, os.WriteFile(root+path, []byte(tree[path]), 0o600))
	}
	return errors.Join(errs...)
}

// unsynced is the real file system without its syncs, which a state that is
// only looked at does not need.
type unsynced struct{ osFS }

func (unsynced) syncDir(string) error { return nil }

func (u unsynced) create(path string) (file, error) {
	f, err := u.osFS.create(path)
	return unsyncedFile{f}, err
}

type unsyncedFile struct{ file }

func (unsyncedFile) Sync() error { return nil }
