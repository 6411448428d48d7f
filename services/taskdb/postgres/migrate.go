package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the advisory lock under which one process at a time changes
// the schema; a number like any other.
const migrationLock = 0x696d_6d69_6c6c

// migrate brings the schema up to date, each migration in a transaction of its own.
// Processes that start at the same moment wait for the first one.
func migrate(ctx context.Context, cfg *pgx.ConnConfig) (err error) {
	lock, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close(context.WithoutCancel(ctx))) }() // gives the lock back as well
	if _, err := lock.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return fmt.Errorf("wait for those who migrate: %w", err)
	}
	p, closeDB, err := provider(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDB()) }()
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read version of the schema: %w", err)
	}
	if have > want {
		return &refusal{found: fmt.Sprintf("the tables are of a newer imagemill: their version is %d, and this program knows those up to %d; "+
			"start a newer imagemill, or give this one a database of its own", have, want)}
	}
	if _, err := p.Up(ctx); err != nil {
		if pe := new(pgconn.PgError); errors.As(err, &pe) && weatherOf(err) == broken {
			return &refusal{found: fmt.Sprintf("the tables cannot be made: %s (%s)", pe.Message, pe.Code)}
		}
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// provider gives goose a way to the database, and the end of it.
func provider(cfg *pgx.ConnConfig) (*goose.Provider, func() error, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, nil, fmt.Errorf("find migrations: %w", err)
	}
	db := stdlib.OpenDB(*cfg)
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read migrations: %w", err), db.Close())
	}
	return p, db.Close, nil
}
