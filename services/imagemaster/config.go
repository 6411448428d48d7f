package imagemaster

import (
	"errors"
	"fmt"
	"time"

	"imagemill/internal/serve"
)

// Config is what an imagemaster is set by.
type Config struct {
	Serve serve.Config

	Poll          time.Duration `env:"POLL" help:"how often waiting calls look by themselves while no event can wake them, 10ms to 1m; calls for work a fifth as often while NATS is there"`
	ExpireEvery   time.Duration `env:"EXPIRE_EVERY" help:"how often leases that ran out are looked for at most, 10ms to 1m; taskdb says when the next can be"`
	SweepEvery    time.Duration `env:"SWEEP_EVERY" help:"how often orphaned blobs are looked for; 0s: never"`
	SweepWindow   time.Duration `env:"SWEEP_WINDOW" help:"how far back a sweep looks; the first after a start, and one a day, look at everything"`
	OrphanAge     time.Duration `env:"ORPHAN_AGE" help:"how old an original without a task must be to be removed; above the time that recording a task may take"`
	RecordTimeout time.Duration `env:"RECORD_TIMEOUT" help:"how long recording a task may take, at most half of ORPHAN_AGE"`
	Lease         time.Duration `env:"LEASE" help:"what workers are told of the length of a lease; taskdb's LEASE decides"`
}

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		Serve: serve.DefaultConfig("127.0.0.1:8081"), Poll: time.Second, ExpireEvery: 500 * time.Millisecond,
		SweepEvery: 10 * time.Minute, SweepWindow: 24 * time.Hour, OrphanAge: time.Hour,
		RecordTimeout: 30 * time.Second, Lease: 15 * time.Second,
	}
}

// Validate reports every setting that is out of its range.
func (c Config) Validate() error {
	errs := []error{c.Serve.Validate()}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{{"POLL", c.Poll}, {"EXPIRE_EVERY", c.ExpireEvery}} {
		if d.v < 10*time.Millisecond || d.v > time.Minute {
			errs = append(errs, fmt.Errorf("%s: %s is outside 10ms to 1m", d.name, d.v))
		}
	}
	if c.Lease <= 0 {
		errs = append(errs, fmt.Errorf("LEASE: %s is not above 0", c.Lease))
	}
	if c.SweepEvery < 0 || c.SweepWindow < 0 {
		errs = append(errs, errors.New("SWEEP_EVERY, SWEEP_WINDOW: must not be below 0s"))
	}
	if c.RecordTimeout <= 0 || c.OrphanAge < 2*c.RecordTimeout {
		errs = append(errs, fmt.Errorf("ORPHAN_AGE: %s is below twice RECORD_TIMEOUT (%s)", c.OrphanAge, c.RecordTimeout))
	}
	return errors.Join(errs...)
}
