package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/pressly/goose/v3"

	"imagemill/internal/events"
	"imagemill/internal/volume"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Deps is what a [Store] works with.
type Deps struct {
	Log *slog.Logger
	// Events hears of every change once it is durable; nil for nobody.
	Events events.Publisher
	// Now is the clock of leases; nil for time.Now.
	Now func() time.Time
}

// Store is a taskdb.Store in one SQLite file. Make it with [Open], end it with
// [Store.Close].
type Store struct {
	backend.Moves
	cfg    taskdb.Config
	deps   Deps
	writer *sql.DB
	conn   *sql.Conn // the writer's only one
	reader *sql.DB
	reads  reads
	sess   *session
	space  *volume.Room

	queue *backend.Queue[change]
	calm  *time.Timer   // has the writer's cache given up
	done  chan struct{} // closed when the writer goroutine has ended
}

var _ taskdb.Store = (*Store)(nil)

// Open opens the file at cfg.Path, makes it and its folder where they are
// missing, brings its schema up to date and starts the writer goroutine, which
// [Store.Close] ends. It fails if the settings that durability rests on cannot
// be had.
func Open(ctx context.Context, cfg taskdb.Config, deps Deps) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil {
		return nil, errors.New("sqlite: Deps needs Log")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s := &Store{
		cfg: cfg, deps: deps,
		queue: backend.NewQueue[change](cfg.Queue), done: make(chan struct{}),
	}
	s.Moves = backend.Moves{Config: cfg, Change: s.change}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", cfg.Path, err), s.closeDBs())
	}
	s.calm = time.AfterFunc(calm, s.shrink)
	go func() {
		defer close(s.done)
		s.serve()
	}()
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	path, err := filepath.Abs(s.cfg.Path)
	if err != nil {
		return fmt.Errorf("find folder: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	s.space = volume.NewRoom("IMAGEMILL_TASKDB_PATH", filepath.Dir(path), 0, s.deps.Log, s.deps.Now)
	s.writer = openDB(path, 1, false)
	if err := migrate(ctx, s.writer); err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		if err := syncDir(dir); err != nil {
			return fmt.Errorf("sync folder: %w", err)
		}
	}
	if s.conn, err = s.writer.Conn(ctx); err != nil {
		return fmt.Errorf("open writer: %w", err)
	}
	if s.sess, err = newSession(ctx, s.conn); err != nil {
		return err
	}
	s.reader = openDB(path, max(4, runtime.GOMAXPROCS(0)), true)
	s.reads, err = prepareReads(ctx, s.reader)
	return err
}

// migrate brings the schema up to date, each migration in its own transaction.
func migrate(ctx context.Context, db *sql.DB) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("find migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// syncDir makes the names in a folder durable. Windows has no such call, and
// needs none.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Missing says, for /readyz, that the disk is full; nil while it is not.
func (s *Store) Missing() []string { return s.space.Missing() }

// Close refuses new writes, lets those in the queue end, stops the writer
// goroutine and closes the file. It may be called twice.
func (s *Store) Close() error {
	if !s.queue.Close() {
		return nil
	}
	<-s.done
	return s.closeDBs()
}

// closeDBs closes what was opened; the writer last, as it takes the log away.
func (s *Store) closeDBs() error {
	var errs []error
	if s.reader != nil {
		errs = append(errs, s.reader.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	return errors.Join(errs...)
}
