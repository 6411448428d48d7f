package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"imagemill/services/taskdb"
)

// oldest is the first version of PostgreSQL that is worked with.
const oldest = 130000

// connectWithin bounds one attempt to connect, unless the address has a connect_timeout.
const connectWithin = 5 * time.Second

// refusal is a server that answers and cannot be used, until somebody changes it.
type refusal struct {
	found string
	wait  bool // it may change by itself
}

func (r *refusal) Error() string { return r.found }

// parse reads the address. What it refuses names no part of it, since it may hold
// a password.
func parse(cfg taskdb.Config) (*pgxpool.Config, error) {
	pc, err := pgxpool.ParseConfig(cfg.Database)
	if err != nil {
		return nil, errors.New("DATABASE: is no address of a database, or names a file that is not there; " +
			"write postgres://user:password@host:5432/database?sslmode=verify-full")
	}
	c := pc.ConnConfig
	if c.ConnectTimeout == 0 { // the address may say it
		c.ConnectTimeout = connectWithin
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "imagemill-taskdb"
	}
	if c.ValidateConnect == nil { // of several hosts, the one that takes writes
		c.ValidateConnect = takesWrites
	}
	return pc, nil
}

// takesWrites refuses a standby, which may be made the primary.
func takesWrites(ctx context.Context, conn *pgconn.PgConn) error {
	if err := pgconn.ValidateConnectTargetSessionAttrsReadWrite(ctx, conn); err != nil {
		return errors.Join(&refusal{"the server takes no writes: it is a standby, or has default_transaction_read_only=on; name the primary", true}, err)
	}
	return nil
}

// openPool gives a pool of at most n connections, each set and checked.
func (s *Store) openPool(ctx context.Context, base *pgxpool.Config, n int) (*pgxpool.Pool, error) {
	pc := base.Copy()
	pc.MinConns, pc.MinIdleConns, pc.MaxConns = 0, 0, int32(n) //nolint:gosec // a few
	pc.AfterConnect = s.prepare
	return pgxpool.NewWithConfig(ctx, pc)
}

// durability is what a server says of how it keeps what is committed.
type durability struct {
	version, fsync, commit, pages string
}

// prepare sets a new connection, reads back what durability rests on, and refuses
// it otherwise.
func (s *Store) prepare(ctx context.Context, conn *pgx.Conn) error {
	d, err := s.set(ctx, conn)
	if err != nil {
		return fmt.Errorf("set connection: %w", err)
	}
	if err := d.check(); err != nil {
		return err
	}
	if d.pages == "off" {
		s.warned.Do(func() {
			s.deps.Log.Warn("the server has full_page_writes=off: a power cut in the middle of a page can destroy tasks, "+
				"unless its file system writes pages whole", "setting", setting)
		})
	}
	return nil
}

// set makes the settings and reads the others. synchronous_commit is left at what
// somebody has chosen, but for off.
func (s *Store) set(ctx context.Context, conn *pgx.Conn) (d durability, err error) {
	var set strings.Builder
	all := settings(s.cfg.Timeout.Milliseconds())
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&set, "SET %s = '%s'; ", name, all[name])
	}
	if _, err = conn.Exec(ctx, set.String()); err != nil {
		return d, err
	}
	const read = `SELECT current_setting('server_version_num'), current_setting('fsync'),
		CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false)
			ELSE current_setting('synchronous_commit') END, current_setting('full_page_writes')`
	err = conn.QueryRow(ctx, read).Scan(&d.version, &d.fsync, &d.commit, &d.pages)
	if err != nil {
		return d, err
	}
	// Read anew: what set_config gives is what was asked for.
	return d, conn.QueryRow(ctx, "SELECT current_setting('synchronous_commit')").Scan(&d.commit)
}

// check says what is wrong with a server.
func (d durability) check() error {
	var version int
	if _, err := fmt.Sscan(d.version, &version); err != nil {
		return fmt.Errorf("read version %q: %w", d.version, err)
	}
	switch {
	case version < oldest:
		return &refusal{found: fmt.Sprintf("the server is PostgreSQL %d.%d; %d or later is needed", version/10000, version%10000, oldest/10000)}
	case d.fsync != "on":
		return &refusal{found: fmt.Sprintf("the server has fsync=%s: a power cut would lose accepted tasks; set fsync=on in postgresql.conf and reload", d.fsync)}
	case d.commit == "off":
		return &refusal{found: "the server keeps synchronous_commit=off: a crash would lose accepted tasks; it must be on, local, remote_write or remote_apply"}
	}
	return nil
}

// isConnection finds the end of a connection among errors that are not the server's.
func isConnection(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.As(err, &op) || pgconn.SafeToRetry(err)
}
