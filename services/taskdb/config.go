package taskdb

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"imagemill/internal/serve"
)

// Config is what a taskdb is set by.
type Config struct {
	Serve serve.Config

	Path       string        `env:"PATH" help:"SQLite database file, where DATABASE is not set; its folder is made where it is missing"`
	Database   string        `env:"DATABASE" secret:"true" help:"PostgreSQL database in place of SQLite, as postgres://user:password@host:5432/name"`
	Lease      time.Duration `env:"LEASE" help:"how long a claim lasts without renewal, 10ms to 1h"`
	MaxTries   int           `env:"MAX_TRIES" help:"attempts that may go wrong before a task is failed, 1 to 100"`
	MaxDeaths  int           `env:"MAX_DEATHS" help:"processes that may die of a task before it is failed, 1 to 100"`
	BackoffMin time.Duration `env:"BACKOFF_MIN" help:"pause before the second try; it doubles with each further one"`
	BackoffMax time.Duration `env:"BACKOFF_MAX" help:"longest pause between tries, up to 24h"`
	Queue      int           `env:"QUEUE" help:"writes that may wait for a commit, 1 to 1000000; one more is refused with 429"`
	Timeout    time.Duration `env:"TIMEOUT" help:"how long one call may take, 10ms to 10m; then it is answered with 504"`
}

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		Serve: serve.DefaultConfig("127.0.0.1:8083"), Path: "data/taskdb/tasks.db", Lease: 15 * time.Second,
		MaxTries: 3, MaxDeaths: 3, BackoffMin: time.Second, BackoffMax: time.Minute,
		Queue: 8192, Timeout: 10 * time.Second,
	}
}

// isDatabase looks at the form of an address. It is not shown: it may hold a
// password.
func isDatabase(address string) bool {
	u, err := url.Parse(address)
	return address == "" || err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql") && u.Opaque == "" &&
		(u.Host != "" || u.Query().Get("host") != "")
}

// Validate reports every setting that is out of its range.
func (c Config) Validate() error {
	errs := []error{c.Serve.Validate()}
	if c.Path == "" {
		errs = append(errs, errors.New("PATH: must name a file"))
	}
	if !isDatabase(c.Database) {
		errs = append(errs, errors.New("DATABASE: must be an address like postgres://user:password@host:5432/name, with special characters "+
			"of the password percent-encoded, or empty for SQLite"))
	}
	if c.Lease < 10*time.Millisecond || c.Lease > time.Hour {
		errs = append(errs, fmt.Errorf("LEASE: %s is outside 10ms to 1h", c.Lease))
	}
	if c.MaxTries < 1 || c.MaxTries > 100 {
		errs = append(errs, fmt.Errorf("MAX_TRIES: %d is outside 1 to 100", c.MaxTries))
	}
	if c.MaxDeaths < 1 || c.MaxDeaths > 100 {
		errs = append(errs, fmt.Errorf("MAX_DEATHS: %d is outside 1 to 100", c.MaxDeaths))
	}
	if c.BackoffMin < 0 || c.BackoffMax < c.BackoffMin || c.BackoffMax > 24*time.Hour {
		errs = append(errs, fmt.Errorf("BACKOFF_MIN, BACKOFF_MAX: %s and %s are not in order from 0s to 24h", c.BackoffMin, c.BackoffMax))
	}
	if c.Queue < 1 || c.Queue > 1_000_000 {
		errs = append(errs, fmt.Errorf("QUEUE: %d is outside 1 to 1000000", c.Queue))
	}
	if c.Timeout < 10*time.Millisecond || c.Timeout > 10*time.Minute {
		errs = append(errs, fmt.Errorf("TIMEOUT: %s is outside 10ms to 10m", c.Timeout))
	}
	return errors.Join(errs...)
}
