package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"imagemill/internal/fault"
	"imagemill/internal/tempdir"
	"imagemill/services/worker/engine"
)

// Deps is what a Pool needs of its surroundings.
type Deps struct {
	// Log gets deaths, failed starts and what isolates the children; required.
	Log *slog.Logger
	// Metrics gets what isolates the children; may be nil.
	Metrics prometheus.Registerer
}

// Pool implements engine.Engine by child processes. Render waits while Run is
// not running yet, and fails once it has ended.
type Pool struct {
	cfg   Config
	log   *slog.Logger
	desk  desk
	fresh chan *child
	ended chan struct{} // closed when Run returns
	ids   atomic.Uint64
	busy  atomic.Int64 // calls that are under way or wait
	state state
	size  size
	known documents
	walls walls
}

// call is one Render.
type call struct {
	ctx    context.Context
	job    engine.Job
	parcel parcel
	wall   time.Duration
}

// state is what Ready tells.
type state struct {
	mu      sync.Mutex
	started bool
	problem error
}

// New checks and assembles a pool; no process runs before Run.
func New(cfg Config, deps Deps) (*Pool, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil {
		return nil, errors.New("engine pool: a logger is missing")
	}
	p := &Pool{
		cfg: cfg, log: deps.Log,
		fresh: make(chan *child), ended: make(chan struct{}), walls: newWalls(deps.Metrics),
		desk: newDesk(),
	}
	p.size.want = cfg.Size
	return p, nil
}

// Run keeps the children running until ctx is done; then it kills them, those
// at work too, and returns nil. To let work end, wait for the calls of Render
// before ending ctx. It returns an error at once if the children's folder cannot be
// made, or if a child is not isolated although the configuration requires it. Run
// is called once.
func (p *Pool) Run(ctx context.Context) (err error) {
	defer close(p.ended)
	dir, err := tempdir.Make(p.cfg.Scratch, rootPrefix)
	if err != nil {
		return fmt.Errorf("make the engines' folder: %w", err)
	}
	defer func() { err = errors.Join(err, dir.Remove()) }()
	root := dir.Path
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var starter sync.WaitGroup
	starting, stopStarting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStarting()
	var refused error
	starter.Go(func() {
		if refused = p.start(starting, root); refused != nil {
			cancel()
		}
	})
	starter.Go(func() { p.rest(ctx) })
	starter.Go(p.sweep)
	p.size.open(func(quit <-chan struct{}) { p.slot(ctx, quit) })
	<-ctx.Done()
	p.size.close()
	// The starter outlives the slots: its thread is the children's parent.
	stopStarting()
	starter.Wait()
	return refused
}

// rootPrefix begins the name of the folder that the children's own are in.
const rootPrefix = "imagemill-engines-"

// sweep removes what pools have left whose process was killed.
func (p *Pool) sweep() {
	n, err := tempdir.Sweep(p.cfg.Scratch, rootPrefix)
	if n > 0 || err != nil {
		p.log.Info("folders of engines that were killed are removed", "folders", n, "error", err)
	}
}

// Ready is nil once a child has greeted and no start has failed since; else it
// says what is missing.
func (p *Pool) Ready() error {
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	if p.state.problem != nil {
		return p.state.problem
	}
	if !p.state.started {
		return errors.New("no engine process has started yet")
	}
	return nil
}

func (p *Pool) note(err error) {
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	p.state.started = p.state.started || err == nil
	p.state.problem = err
}

// share is how many threads a job may take when so many are under way: all cores
// that the others leave, unless it has asked for fewer, or each child has its number.
func (p *Pool) share(asked, underway int) int {
	free := p.cfg.Threads
	if free == 0 {
		free = max(1, runtime.NumCPU()/max(underway, 1))
	}
	if asked > 0 {
		return min(asked, free)
	}
	return free
}

// Render implements engine.Engine: it waits for an idle child, then for its
// answer. A child whose ctx ends, or that is late, is killed.
func (p *Pool) Render(ctx context.Context, job engine.Job) (engine.Report, error) {
	c := &call{ctx: ctx, wall: p.cfg.WallTime}
	if w := job.Limits.WallTime; w > 0 {
		c.wall = min(c.wall, w)
	}
	// The clock is here: the child's own must not end a job first.
	job.Limits.WallTime = 2 * c.wall
	job.Threads = p.share(job.Threads, int(p.busy.Add(1)))
	defer p.busy.Add(-1)
	var err error
	if c.parcel, err = p.pack(p.ids.Add(1), job); err != nil {
		return engine.Report{}, err
	}
	defer c.parcel.close()
	c.job = job
	if child := p.desk.take(ctx, p.ended); child != nil {
		return p.work(child, c)
	}
	if err := ctx.Err(); err != nil {
		return engine.Report{}, cancelled(err)
	}
	return engine.Report{}, fault.New(fault.Unavailable, "the engine has stopped")
}
