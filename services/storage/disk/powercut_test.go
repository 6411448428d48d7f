package disk

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage"
)

// change is what a client has done to a key: a Put of content, or a Delete.
type change struct {
	ref     storage.Ref
	content string // "" for a Delete
	// begun and ended are moments of the record, ended underWay until it is; only
	// where the store said so it is acknowledged.
	begun, ended int
	acknowledged bool
}

const underWay = math.MaxInt

// allowed says whether a key may be content at moment n: that of a change that
// had begun, unless an acknowledged one has followed.
func allowed(all []*change, ref storage.Ref, content string, n int) bool {
	follows := func(begin int) bool { // an acknowledged change, from a moment on
		return slices.ContainsFunc(all, func(c *change) bool {
			return c.ref == ref && c.acknowledged && c.ended <= n && c.begun >= begin
		})
	}
	if content == "" && !follows(0) {
		return true
	}
	return slices.ContainsFunc(all, func(c *change) bool {
		return c.ref == ref && c.content == content && c.begun <= n && (c.ended > n || !follows(c.ended))
	})
}

// lab is a store under power cuts.
type lab struct {
	root string // the folder that holds the data folder
	fs   *cutFS
	born int // the first moment at which the power may fail

	mu      sync.Mutex
	changes []*change
}

func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{root: t.TempDir()}
	var err error
	l.fs, err = newCutFS(l.root)
	require.NoError(t, err)
	l.born = l.fs.length()
	return l
}

var silent = Deps{Log: slog.New(slog.DiscardHandler)}

func dataOf(root string) Config { return Config{Dir: filepath.Join(root, "var", "data")} }

// begin opens the store as a process does that starts.
func (l *lab) begin(t testing.TB) *Store {
	t.Helper()
	s, err := open(dataOf(l.root), silent, l.fs)
	require.NoError(t, err)
	return s
}

// do carries a change out, and keeps its moments.
func (l *lab) do(t testing.TB, s *Store, ref storage.Ref, content string) error {
	c := &change{ref: ref, content: content, begun: l.fs.mark(), ended: underWay}
	l.mu.Lock()
	l.changes = append(l.changes, c)
	l.mu.Unlock()
	var err error
	if content == "" {
		err = s.Delete(t.Context(), ref)
	} else {
		_, err = s.Put(t.Context(), ref, strings.NewReader(content), storage.PutOptions{Size: -1})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.ended, c.acknowledged = l.fs.mark(), err == nil
	return err
}

// verify opens a state that the power cut at moment n may have left.
func (l *lab) verify(t testing.TB, tree map[string]string, n int) error {
	root, err := os.MkdirTemp("", "cut") //nolint:usetesting // thousands of them, each removed at once
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(root) }()
	if err := build(root, tree); err != nil {
		return err
	}
	s, err := open(dataOf(root), silent, unsynced{})
	if err != nil {
		return fmt.Errorf("it does not open: %w", err)
	}
	return l.holds(t, s, n)
}

// holds has every key be what it may be at moment n, and nothing else there.
func (l *lab) holds(t testing.TB, s *Store, n int) error {
	there := map[storage.State][]string{}
	seen := map[storage.Ref]bool{}
	for _, c := range l.changes {
		if seen[c.ref] {
			continue
		}
		seen[c.ref] = true
		got, err := served(t, s, c.ref)
		if err != nil {
			return fmt.Errorf("%s is not whole: %w", c.ref.Key, err)
		}
		if got != "" {
			there[c.ref.State] = append(there[c.ref.State], c.ref.Key)
		}
		if !allowed(l.changes, c.ref, got, n) {
			return fmt.Errorf("%s is %.20q (%d bytes), which is not what was acknowledged", c.ref.Key, got, len(got))
		}
	}
	for _, state := range []storage.State{storage.InProgress, storage.Finished} {
		page, err := s.List(t.Context(), state, "", storage.MaxPage)
		if err != nil {
			return err
		}
		listed := []string{}
		for _, b := range page.Blobs {
			listed = append(listed, b.Key)
		}
		if want := slices.Sorted(slices.Values(there[state])); !slices.Equal(listed, want) {
			return fmt.Errorf("%s lists %v, not %v", state, listed, want)
		}
	}
	left, err := os.ReadDir(filepath.Join(s.cfg.Dir, tmpDir))
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%d temporary files are left", len(left))
	}
	return err
}

// served is what a reader gets of a key, "" for nothing.
func served(t testing.TB, s *Store, ref storage.Ref) (string, error) {
	obj, err := s.Get(t.Context(), ref, storage.Whole())
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(obj.Body)
	return string(data), errors.Join(err, obj.Body.Close())
}

// powerCuts tries the states after every moment from first on: all of them where
// there are no more than most, or else the two extremes and random ones. It
// gives how many it tried, and whether these were all.
func (l *lab) powerCuts(t testing.TB, first, most int, rng *rand.Rand) (tried int, all bool, _ error) {
	t.Helper()
	all = true
	seen := map[string]bool{} // since the changes last had an end or a beginning
	for n := first; n <= l.fs.length(); n++ {
		if slices.ContainsFunc(l.changes, func(c *change) bool { return c.begun == n || c.ended == n }) {
			clear(seen)
		}
		left := l.fs.after(n)
		one := func(choose func(int) int) error {
			tree := left.tree(choose)
			sign := fmt.Sprint(tree)
			if seen[sign] {
				return nil
			}
			seen[sign] = true
			tried++
			if err := l.verify(t, tree, n); err != nil {
				return fmt.Errorf("cut at %d of %d: %w", n, l.fs.length(), err)
			}
			return nil
		}
		if rng == nil {
			whole, err := every(most, one)
			if all = all && whole; err != nil {
				return tried, all, err
			}
			continue
		}
		all = false
		err := errors.Join(one(func(int) int { return 0 }), one(func(n int) int { return n - 1 }))
		for range most {
			err = errors.Join(err, one(rng.IntN))
		}
		if err != nil {
			return tried, all, err
		}
	}
	return tried, all, nil
}

// step is a change of a workload.
type step struct{ key, content string }

// workloads are small enough for all that can be left of them to be tried.
func workloads() map[string][]step {
	long := strings.Repeat("0123456789abcdef", 200_000/16)
	return map[string][]step{
		"one":                 {{"aaaaaaa1", "first"}},
		"one of many pieces":  {{"aaaaaaa1", long}},
		"replaced":            {{"aaaaaaa1", "first"}, {"aaaaaaa1", "second"}},
		"deleted":             {{"aaaaaaa1", "first"}, {"aaaaaaa1", ""}},
		"two in a folder":     {{"aaaaaaa1", "first"}, {"aaaaaaa2", "second"}},
		"two in two folders":  {{"aaaaaaa1", "first"}, {"bbbbbbb2", "second"}},
		"deleted and put":     {{"aaaaaaa1", "first"}, {"aaaaaaa1", ""}, {"aaaaaaa1", "third"}},
		"replaced and gone":   {{"aaaaaaa1", "first"}, {"aaaaaaa1", "second"}, {"aaaaaaa1", ""}},
		"nothing is deleted":  {{"aaaaaaa1", ""}},
		"the process started": {},
	}
}

// exhaust tries all states after all moments of a small workload.
func exhaust(t testing.TB, steps []step, omit func(string) bool) (int, error) {
	t.Helper()
	l := newLab(t)
	l.fs.omit = omit
	s := l.begin(t)
	for _, st := range steps {
		require.NoError(t, l.do(t, s, blob(st.key), st.content))
	}
	tried, all, err := l.powerCuts(t, l.born, 100_000, nil)
	require.True(t, all || err != nil, "the workload is too large")
	return tried, err
}

// Whatever the power cut leaves, at whatever moment: what was acknowledged is
// there, whole; everything else is whole or absent; no temporary file stays.
func TestPowerCut(t *testing.T) {
	for name, steps := range workloads() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tried, err := exhaust(t, steps, nil)
			require.NoError(t, err)
			t.Logf("%d states", tried)
		})
	}
}

// The harness sees each sync that is left out.
func TestPowerCutSeesAMissingSync(t *testing.T) {
	for name, c := range map[string]struct {
		workload string
		omit     func(path string) bool
	}{
		"of a file":                     {"one", func(p string) bool { return filepath.Base(filepath.Dir(p)) == tmpDir }},
		"of a folder after a rename":    {"one", func(p string) bool { return filepath.Base(p) == "aaaaaaa" }},
		"of a folder after a replace":   {"replaced", func(p string) bool { return filepath.Base(p) == "aaaaaaa" }},
		"of the folder of a new folder": {"one", func(p string) bool { return filepath.Base(p) == string(storage.Finished) }},
		"of the data folder":            {"one", func(p string) bool { return filepath.Base(p) == "data" }},
		"of the folder above it":        {"one", func(p string) bool { return filepath.Base(p) == "var" }},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := exhaust(t, workloads()[c.workload], c.omit)
			require.Error(t, err)
			t.Log(err)
		})
	}
}

// A process may be killed between any two steps, and its successor work on what
// it finds, of which not all is durable, before the power fails.
func TestPowerCutAfterARestart(t *testing.T) {
	count := func() int { // of syncs, at each of which a process is killed
		l, n := newLab(t), 0
		l.fs.fail = func(string) error { n++; return nil }
		require.NoError(t, l.do(t, l.begin(t), blob("aaaaaaa1"), "first"))
		return n
	}()
	for killed := range count {
		l, n := newLab(t), 0
		l.fs.fail = func(string) error { // a process that is dead does nothing more
			if n++; n > killed {
				return errInjected
			}
			return nil
		}
		dead, err := open(dataOf(l.root), silent, l.fs)
		if err == nil {
			require.Error(t, l.do(t, dead, blob("aaaaaaa1"), "first"))
		}
		l.fs.fail = nil
		s := l.begin(t)
		first := l.fs.length()
		require.NoError(t, l.do(t, s, blob("aaaaaaa1"), "second"))
		_, _, err = l.powerCuts(t, first, 2000, nil)
		require.NoError(t, err, "killed at sync %d", killed)
	}
}

// Larger workloads: several clients at once, syncs that fail, processes that
// start anew, and one power cut after the other, each on what the last has left.
// IMAGEMILL_POWERCUT_ROUNDS says how many; IMAGEMILL_POWERCUT_SEED repeats what is
// done and what is left, though not how the scheduler mixed the clients.
func TestPowerCutAtRandom(t *testing.T) {
	seed, rounds, samples := uint64(time.Now().UnixNano()), uint64(1), 1
	for name, into := range map[string]*uint64{"SEED": &seed, "ROUNDS": &rounds} {
		if v := os.Getenv("IMAGEMILL_POWERCUT_" + name); v != "" {
			var err error
			*into, err = strconv.ParseUint(v, 10, 64)
			require.NoError(t, err)
		}
	}
	t.Logf("IMAGEMILL_POWERCUT_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 5))
	tried := 0
	l := newLab(t)
	for round := range rounds {
		busy(t, l, rng)
		n, _, err := l.powerCuts(t, l.born, samples, rng)
		require.NoError(t, err, "seed %d, round %d", seed, round)
		tried += n
		l = next(t, l, rng)
	}
	t.Logf("%d states", tried)
}

// busy puts, replaces and deletes some keys from four clients, over two lives of
// the process. Some syncs fail.
func busy(t *testing.T, l *lab, rng *rand.Rand) {
	t.Helper()
	var mu sync.Mutex
	draw := func(n int) int { mu.Lock(); defer mu.Unlock(); return rng.IntN(n) }
	for range 2 {
		s := l.begin(t)
		l.fs.fail = func(string) error {
			if draw(25) == 0 {
				return errInjected
			}
			return nil
		}
		var clients sync.WaitGroup
		for client := range 4 {
			clients.Go(func() {
				for range 4 {
					ref := storage.Ref{
						State: []storage.State{storage.InProgress, storage.Finished}[draw(2)],
						Key:   fmt.Sprintf("%c%06d-%d", 'a'+client%2, 0, draw(3)),
					}
					content := ""
					if draw(4) > 0 {
						content = strings.Repeat(fmt.Sprintf("%08x", draw(math.MaxInt32)), 1+draw(40))
					}
					_ = l.do(t, s, ref, content) // it may fail, and must say so then
				}
			})
		}
		clients.Wait()
		l.fs.fail = nil
		require.NoError(t, l.holds(t, s, l.fs.length()))
	}
}

// next is the machine after a power cut at a random moment: what it left is
// durable, and all there is.
func next(t *testing.T, l *lab, rng *rand.Rand) *lab {
	t.Helper()
	tree := l.fs.after(l.born + rng.IntN(l.fs.length()-l.born+1)).tree(rng.IntN)
	after := &lab{root: t.TempDir()}
	require.NoError(t, build(after.root, tree))
	var err error
	after.fs, err = newCutFS(after.root)
	require.NoError(t, err)
	after.born = after.fs.length()
	s, err := open(dataOf(after.root), silent, after.fs)
	require.NoError(t, err)
	found := map[storage.Ref]string{}
	for _, c := range l.changes {
		found[c.ref], err = served(t, s, c.ref)
		require.NoError(t, err)
	}
	for ref, content := range found {
		after.changes = append(after.changes, &change{ref: ref, content: content, begun: -2, ended: -1, acknowledged: true})
	}
	return after
}
