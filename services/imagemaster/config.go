package imagemaster

import (
	"errors"
	"fmt"
	"time"

	"imagemill/internal/serve"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// Config is what an imagemaster is set by.
type Config struct {
	Serve serve.Config

	Poll            time.Duration `env:"POLL" help:"how often waiting calls look by themselves while no event can wake them, 10ms to 1m; calls for work a fifth as often once NATS has been there for a minute"`
	ExpireEvery     time.Duration `env:"EXPIRE_EVERY" help:"how often leases that ran out are looked for at most, 10ms to 1m; taskdb says when the next can be"`
	SweepEvery      time.Duration `env:"SWEEP_EVERY" help:"how often orphaned blobs are looked for; 0s: never"`
	SweepWindow     time.Duration `env:"SWEEP_WINDOW" help:"how far back a sweep looks; the first after a start, and one a day, look at everything"`
	OrphanAge       time.Duration `env:"ORPHAN_AGE" help:"how old an original without a task must be to be removed; above the time that recording a task may take"`
	PurgeEvery      time.Duration `env:"PURGE_EVERY" help:"how often images that have expired, or are older than RETENTION, are looked for and removed; 0s: never"`
	Retention       time.Duration `env:"RETENTION" help:"how long finished images are kept, with all that belongs to them, up to 87600h; 0s: for ever"`
	RetentionFailed time.Duration `env:"RETENTION_FAILED" help:"how long failed and cancelled images are kept, up to 87600h; 0s: for ever"`
	RecordTimeout   time.Duration `env:"RECORD_TIMEOUT" help:"how long recording a task may take, at most half of ORPHAN_AGE"`
	Lease           time.Duration `env:"LEASE" help:"the most that workers are told of the length of a lease; taskdb's LEASE decides"`
	MaxWaiting      int64         `env:"MAX_WAITING" help:"images that may wait to be worked, in all; one more upload is refused with 429 before it is read; 0: no bound"`

	Replicas int `env:"STORAGE_REPLICAS" global:"true" help:"on how many storage nodes a blob is durable before it counts as stored, 1 to 10; 0: as the storage is set"`
}

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		Serve: serve.DefaultConfig("127.0.0.1:8081"), Poll: time.Second, ExpireEvery: 500 * time.Millisecond,
		SweepEvery: 10 * time.Minute, SweepWindow: 24 * time.Hour, OrphanAge: time.Hour, PurgeEvery: time.Minute,
		RecordTimeout: 30 * time.Second, Lease: 15 * time.Second, MaxWaiting: 1_000_000,
	}
}

// Validate reports every setting that is out of its range.
func (c Config) Validate() error {
	errs := []error{c.Serve.Validate(), storage.CheckReplicas(c.Replicas)}
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
	if c.Retention < 0 || c.Retention > taskdb.MaxKeep || c.RetentionFailed < 0 || c.RetentionFailed > taskdb.MaxKeep || c.PurgeEvery < 0 {
		errs = append(errs, fmt.Errorf("RETENTION, RETENTION_FAILED, PURGE_EVERY: %s, %s and %s: must not be below 0s, the first two not above %s",
			c.Retention, c.RetentionFailed, c.PurgeEvery, taskdb.MaxKeep))
	}
	if c.MaxWaiting < 0 {
		errs = append(errs, fmt.Errorf("MAX_WAITING: %d is below 0", c.MaxWaiting))
	}
	if c.SweepEvery < 0 || c.SweepWindow < 0 {
		errs = append(errs, errors.New("SWEEP_EVERY, SWEEP_WINDOW: must not be below 0s"))
	}
	if c.RecordTimeout <= 0 || c.OrphanAge < 2*c.RecordTimeout {
		errs = append(errs, fmt.Errorf("ORPHAN_AGE: %s is below twice RECORD_TIMEOUT (%s)", c.OrphanAge, c.RecordTimeout))
	}
	return errors.Join(errs...)
}
