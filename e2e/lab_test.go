package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"imagemill/e2e"
	"imagemill/internal/volume/volumetest"
	"imagemill/services/taskdb/postgres/postgrestest"
)

const (
	// diskSize is that of a disk which has room, in bytes.
	diskSize = 2 << 30
	workers  = 4
	// thePostgres is what the schedule calls PostgreSQL.
	thePostgres = "postgres"
)

// accepted are the IDs of all uploads that were answered with 202.
type accepted struct {
	mu  sync.Mutex
	ids map[string]int // to the number of the upload
	// last is when one was accepted, longest the longest time without.
	last    time.Time
	longest time.Duration
	failed  int // that were told to be failed
	refused int // answers other than 202
}

func (a *accepted) add(id string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids[id] = n
	a.longest, a.last = max(a.longest, time.Since(a.last)), time.Now()
}

// lab makes faults, as a seed says, while pictures are uploaded.
type lab struct {
	t        *testing.T
	p        *e2e.Processes
	postgres *postgrestest.Server
	disks    map[string]*volumetest.Disk
	clocks   []string // those whose clocks are set
	rng      *rand.Rand
	got      *accepted

	healing sync.WaitGroup
	mu      sync.Mutex
	busy    map[string]bool // under a fault that is yet to be healed
	counts  map[string]map[string]int
	err     error
}

func newLab(t *testing.T, p *e2e.Processes) *lab {
	t.Helper()
	seed := setting(t, "IMAGEMILL_E2E_SEED", int(time.Now().UnixNano()&0xffffff))
	t.Logf("IMAGEMILL_E2E_SEED=%d", seed)
	return &lab{
		t: t, p: p, disks: map[string]*volumetest.Disk{}, rng: rand.New(rand.NewPCG(uint64(seed), 1)),
		got: &accepted{ids: map[string]int{}, last: time.Now()}, busy: map[string]bool{}, counts: map[string]map[string]int{},
	}
}

// addDisk has a service keep its data on a disk that can get full.
func (l *lab) addDisk(service string, d *volumetest.Disk) {
	l.disks[service], l.p.Disks[service] = d, d.Dir
}

// run starts the suite, makes faults and uploads for so long, lets all heal, and
// looks at what has become of everything.
func (l *lab) run(length time.Duration) {
	l.t.Helper()
	l.p.StartAll(workers)
	ctx, cancel := context.WithTimeout(l.t.Context(), length+5*time.Minute)
	defer cancel()
	began := time.Now()
	l.got.last = began
	done := make(chan error, 1)
	stop := make(chan struct{})
	var again int64
	go func() {
		var err error
		again, err = l.load(ctx, stop)
		done <- err
	}()
	for end := began.Add(length); time.Now().Before(end) && len(done) == 0 && l.trouble() == nil; {
		l.fault()
	}
	took := time.Since(began)
	close(stop)
	l.healing.Wait()
	l.revive()
	require.NoError(l.t, l.trouble())
	if err := <-done; err != nil {
		require.NoError(l.t, err, "tasks that have not ended: %+v", unended(l.t, l.p))
	}
	l.p.Ready(workers)
	l.table(took, again)
	settled(l.t, l.p, l.got)
	// Each worker has one folder, and its engines another.
	l.p.Eventually("the folders of killed workers are gone", func() bool { return len(l.p.Scratch()) <= 2*workers })
}

func (l *lab) trouble() error { l.mu.Lock(); defer l.mu.Unlock(); return l.err }

func (l *lab) count(what, whom string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts[what] == nil {
		l.counts[what] = map[string]int{}
	}
	service, _, _ := strings.Cut(whom, "-")
	l.counts[what][service]++
}

// between draws a time.
func (l *lab) between(least, most time.Duration) time.Duration {
	return least + time.Duration(l.rng.Int64N(int64(most-least)))
}

// fault waits a little and makes one fault. All that the seed decides is drawn
// here, in this order, whatever becomes of it.
func (l *lab) fault() {
	<-time.After(l.between(600*time.Millisecond, 2200*time.Millisecond))
	names := append(l.p.Names(""), slices.Repeat([]string{thePostgres}, min(1, l.servers()))...)
	kind, name := l.rng.IntN(100), names[l.rng.IntN(len(names))]
	short, long, hard := l.between(0, 700*time.Millisecond), l.between(500*time.Millisecond, 4*time.Second), l.rng.IntN(2) == 0
	clock, ahead := l.rng.IntN(100), l.between(-time.Hour, time.Hour)
	l.revive()
	switch {
	case kind < 68:
		l.kill(name, short)
	case kind < 80:
		l.stop(name, long)
	case kind < 91:
		l.cut(name, long, hard)
	case kind < 96 && len(l.clocks) > 0:
		l.setClock(l.clocks[clock%len(l.clocks)], ahead, long)
	case len(l.disks) == 0:
		l.cut(name, long, hard)
	default:
		l.fill(slices.Sorted(maps.Keys(l.disks))[l.rng.IntN(len(l.disks))], long/2)
	}
}

func (l *lab) servers() int {
	if l.postgres != nil {
		return 1
	}
	return 0
}

// revive starts again what has ended by itself, as whoever runs it would. Only a
// full disk is a reason to end.
func (l *lab) revive() {
	for _, name := range l.p.Names("") {
		proc := l.p.Get(name)
		if !proc.Exited() {
			continue
		}
		if log := proc.Log(); !strings.Contains(log[max(0, len(log)-4000):], "full") && !strings.Contains(log[max(0, len(log)-4000):], "no space") {
			l.must(fmt.Errorf("%s ended by itself", name))
		}
		l.count("ended by a full disk", name)
		l.p.Restart(name)
	}
}

func (l *lab) kill(name string, down time.Duration) {
	l.count("killed", name)
	if name == thePostgres {
		l.postgres.Kill()
		<-time.After(down)
		require.NoError(l.t, l.postgres.Launch())
		return
	}
	l.p.Kill(name)
	<-time.After(down)
	l.p.Restart(name)
}

// lasting begins a fault that heals by itself, unless one of its kind and name
// is there yet.
func (l *lab) lasting(what, name string, d time.Duration, begin, heal func()) {
	l.mu.Lock()
	before := l.busy[what+name]
	l.busy[what+name] = true
	l.mu.Unlock()
	if before {
		return
	}
	l.count(what, name)
	begin()
	l.healing.Go(func() {
		<-time.After(d)
		heal()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.busy, what+name)
	})
}

func (l *lab) stop(name string, d time.Duration) {
	if name == thePostgres {
		// It is thawed before anything else happens to it: a killed one has other processes.
		l.count("stopped", name)
		l.postgres.Freeze()
		<-time.After(d / 2)
		l.postgres.Thaw()
		return
	}
	proc := l.p.Get(name) // whatever runs under its name later
	l.lasting("stopped", name, d,
		func() { _ = proc.Send(syscall.SIGSTOP) }, func() { _ = proc.Send(syscall.SIGCONT) })
}

func (l *lab) cut(name string, d time.Duration, hard bool) {
	if name == thePostgres || strings.HasPrefix(name, "worker") { // nobody calls a worker
		name = "taskdb"
		if l.p.Get(name) == nil {
			name = "taskdb-1"
		}
	}
	link := l.p.Link(name)
	begin := link.Stall
	if hard {
		begin = link.Refuse
	}
	l.lasting("cut off", name, d, begin, link.Heal)
}

func (l *lab) fill(service string, d time.Duration) {
	disk := l.disks[service]
	l.lasting("full disk", service, d,
		func() { l.must(disk.Tighten()) }, func() { l.must(disk.Widen(diskSize)) })
}

// setClock sets a clock, and sets it right again: two jumps.
func (l *lab) setClock(name string, ahead, d time.Duration) {
	l.lasting("clock set", name, d,
		func() { l.must(l.p.SetClock(name, ahead)) }, func() { l.must(l.p.SetClock(name, 0)) })
}

// must notes what makes the run useless.
func (l *lab) must(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(l.err, err)
}

// table says what was done.
func (l *lab) table(took time.Duration, again int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t.Logf("%-22s %d, %.0f a minute", "uploads accepted", len(l.got.ids), float64(len(l.got.ids))/took.Minutes())
	l.t.Logf("%-22s %d answers; %d requests were repeated", "uploads refused", l.got.refused, again)
	l.t.Logf("%-22s %s", "longest without one", l.got.longest.Round(time.Millisecond))
	for _, what := range slices.Sorted(maps.Keys(l.counts)) {
		n := 0
		for _, m := range l.counts[what] {
			n += m
		}
		l.t.Logf("%-22s %d, %.0f a minute: %v", what, n, float64(n)/took.Minutes(), l.counts[what])
	}
}

// load uploads from eight clients until stop, and follows each picture to its
// end.
func (l *lab) load(ctx context.Context, stop <-chan struct{}) (again int64, _ error) {
	const clients = 8
	rate := setting(l.t, "IMAGEMILL_E2E_UPLOADS", 900)
	tick := time.NewTicker(time.Minute / time.Duration(rate))
	defer tick.Stop()
	g, ctx := errgroup.WithContext(ctx)
	users := make([]*user, clients)
	for c := range clients {
		users[c] = newUser(l.t, l.p, c, 2000, 100*time.Millisecond)
		g.Go(func() error {
			for n := c; ; n += clients {
				select {
				case <-tick.C:
				case <-stop:
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
				id, err := users[c].upload(ctx, mixed(l.t, n), "Idempotency-Key", fmt.Sprint("upload-", n))
				if err != nil {
					return err
				}
				l.got.add(id, n)
				g.Go(func() error { return l.follow(ctx, users[c], n, id) })
			}
		})
	}
	err := g.Wait()
	for _, u := range users {
		again += u.again.Load()
		l.got.refused += int(u.refused.Load())
	}
	return again, err
}

// mixed is picture, and each tenth time one that takes a worker a while.
func mixed(t *testing.T, n int) []byte {
	if n%10 == 0 {
		return e2e.Colored(t, 1600, 1200, colorOf(n))
	}
	return picture(t, n)
}

// follow follows a picture to its end. That it is failed is looked into later,
// when its task can be asked.
func (l *lab) follow(ctx context.Context, u *user, n int, id string) error {
	err := u.follow(ctx, n, id)
	if e := (*failedError)(nil); errors.As(err, &e) {
		l.got.mu.Lock()
		defer l.got.mu.Unlock()
		l.got.failed++
		return nil
	}
	return err
}
