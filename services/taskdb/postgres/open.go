package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"imagemill/internal/events"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// setting is what names the database, in the log and in /readyz.
const setting = "IMAGEMILL_TASKDB_DATABASE"

// writers is how many transactions one store has under way: while one waits for
// its commit to be synced, the next works.
const writers = 2

// Deps is what a [Store] works with.
type Deps struct {
	Log *slog.Logger
	// Events hears of every change once it is durable; nil for nobody.
	Events events.Publisher
	// Now replaces the database's clock, for tests; nil for the database's.
	Now func() time.Time
}

// Store is a taskdb.Store in a PostgreSQL database. Make it with [Open], end it
// with [Store.Close].
type Store struct {
	backend.Moves
	cfg    taskdb.Config
	deps   Deps
	pools  *pgxpool.Config
	writer *pgxpool.Pool
	reader *pgxpool.Pool
	claims claims
	lanes  taskdb.Lanes
	queue  *backend.Queue[*op]
	link   link
	warned sync.Once

	ctx  context.Context //nolint:containedctx // of the goroutines; ended by Close
	stop context.CancelFunc
	work sync.WaitGroup // the writers
	rest sync.WaitGroup // what stop ends
}

var _ taskdb.Store = (*Store)(nil)

// Open reads the address, tries the database once, and starts the goroutines that
// write and that watch over it, which [Store.Close] ends. A database that cannot be
// reached is no error: it is waited for. One that answers and must not be used is.
func Open(ctx context.Context, cfg taskdb.Config, deps Deps) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil {
		return nil, errors.New("postgres: Deps needs Log")
	}
	pc, err := parse(cfg)
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, deps: deps, pools: pc, claims: claimStatements(), queue: backend.NewQueue[*op](cfg.Queue),
		link: link{where: fmt.Sprintf("%s:%d", pc.ConnConfig.Host, pc.ConnConfig.Port), log: deps.Log},
	}
	s.Moves = backend.Moves{Config: cfg, Change: s.change}
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	if s.writer, err = s.openPool(s.ctx, pc, writers); err == nil {
		s.reader, err = s.openPool(s.ctx, pc, max(4, runtime.GOMAXPROCS(0)))
	}
	if err == nil {
		err = s.first(ctx)
	}
	if err != nil {
		s.stop()
		s.closePools()
		return nil, err
	}
	for range writers {
		s.work.Go(func() { s.queue.Serve(s.commit) })
	}
	s.rest.Go(s.watch)
	return s, nil
}

// first tries the database, for the start's sake: what is wrong with one that
// answers is said at once.
func (s *Store) first(ctx context.Context) error {
	err := s.reach(ctx)
	if r := new(refusal); errors.As(err, &r) && !r.wait {
		return fmt.Errorf("%s: %w", setting, r)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}

// Missing says, for /readyz, what keeps the database from being used; nil for nothing.
func (s *Store) Missing() []string { return s.link.missing() }

// Close refuses new writes, lets those in the queue end and closes the
// connections. It may be called twice.
func (s *Store) Close() error {
	if !s.queue.Close() {
		return nil
	}
	s.work.Wait()
	s.stop()
	s.rest.Wait()
	s.closePools()
	return nil
}

func (s *Store) closePools() {
	for _, p := range []*pgxpool.Pool{s.writer, s.reader} {
		if p != nil {
			p.Close()
		}
	}
}
