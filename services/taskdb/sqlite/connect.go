package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	sqlitedrv "modernc.org/sqlite"
)

// pragma is a setting of a connection and the value that reading it gives.
type pragma struct{ name, set, want string }

// pragmas are what every connection is held to. FULL is 2: WAL commits are synced.
func pragmas() []pragma {
	return []pragma{
		{"busy_timeout", "5000", "5000"},
		{"journal_mode", "WAL", "wal"},
		{"synchronous", "FULL", "2"},
		{"foreign_keys", "ON", "1"},
		{"temp_store", "MEMORY", "2"},
		{"cache_size", "-16384", "-16384"},
	}
}

// calm is how long nothing has to be asked, or written, for caches to be given up.
const calm = 20 * time.Second

// connector opens connections that are as pragmas say, or fails.
type connector struct {
	drv      *sqlitedrv.Driver
	dsn      string
	readOnly bool
}

// openDB gives a pool of at most n connections to the file.
func openDB(path string, n int, readOnly bool) *sql.DB {
	path = filepath.ToSlash(path)
	if filepath.VolumeName(path) != "" {
		path = "/" + path // file:///C:/…
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath()
	db := sql.OpenDB(&connector{drv: &sqlitedrv.Driver{}, dsn: dsn, readOnly: readOnly})
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	if readOnly {
		db.SetConnMaxIdleTime(calm) // and with it goes its cache
	}
	return db
}

// Driver implements [driver.Connector].
func (c *connector) Driver() driver.Driver { return c.drv }

// Connect opens a connection, sets it and reads the settings back.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.drv.Open(c.dsn)
	if err != nil {
		return nil, fmt.Errorf("open connection: %w", err)
	}
	all := pragmas()
	if c.readOnly {
		all = append(all, pragma{"query_only", "ON", "1"})
	}
	for _, p := range all {
		if err := hold(ctx, conn, p); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// hold sets a pragma and checks that it took.
func hold(ctx context.Context, conn driver.Conn, p pragma) error {
	if _, err := readPragma(ctx, conn, "PRAGMA "+p.name+"="+p.set); err != nil {
		return fmt.Errorf("set %s: %w", p.name, err)
	}
	got, err := readPragma(ctx, conn, "PRAGMA "+p.name)
	if err != nil {
		return fmt.Errorf("read %s: %w", p.name, err)
	}
	if !strings.EqualFold(got, p.want) {
		return fmt.Errorf("%s is %q, must be %q", p.name, got, p.want)
	}
	return nil
}

// readPragma gives the first value that a statement answers, or "".
func readPragma(ctx context.Context, conn driver.Conn, query string) (string, error) {
	q, ok := conn.(driver.QueryerContext)
	if !ok {
		return "", errors.New("the driver cannot query")
	}
	rows, err := q.QueryContext(ctx, query, nil)
	if err != nil {
		return "", err
	}
	row := make([]driver.Value, len(rows.Columns()))
	err = rows.Next(row)
	if errors.Is(err, io.EOF) {
		return "", rows.Close()
	}
	if err = errors.Join(err, rows.Close()); err != nil {
		return "", err
	}
	return fmt.Sprint(row[0]), nil
}
