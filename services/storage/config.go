package storage

import (
	"errors"
	"fmt"
	"time"

	"imagemill/internal/config"
	"imagemill/internal/serve"
)

// Config is what a storage service is set by.
type Config struct {
	Serve serve.Config

	Data    string       `env:"DATA" help:"folder that holds the blobs, where no URL is set"`
	URL     string       `env:"URL" help:"object store that holds the blobs: s3://bucket?region=…&endpoint=…&prefix=…, azblob://container, gs://bucket or file:///folder; without credentials, which are taken from the environment; empty: the disk, at DATA"`
	MaxBlob config.Bytes `env:"MAX_BLOB" help:"largest blob that is taken; what is larger is refused with 413"`
	MinFree config.Bytes `env:"MIN_FREE" help:"disk space that stays free; an upload that would leave less is refused with 507"`

	CallTimeout  time.Duration `env:"CALL_TIMEOUT" help:"how long one call of the object store may take, a part of 5 MiB at most"`
	UploadMemory config.Bytes  `env:"UPLOAD_MEMORY" help:"memory for blobs on their way to the object store, 5 MiB at most for each; what has to wait too long for it is refused with 503"`

	Replication Replication

	PutGrace time.Duration `env:"PUT_GRACE" help:"how long the first byte of a blob may take, and every pause after it, at least"`
	PutRate  config.Bytes  `env:"PUT_RATE" help:"bytes a second that a blob must arrive with on average"`
}

// DefaultConfig gives the defaults. The pace is laxer than the frontend's, so
// that a slow user is told by the frontend.
func DefaultConfig() Config {
	return Config{
		Serve: serve.DefaultConfig("127.0.0.1:8084"), Data: "data/storage", MaxBlob: 1 << 30, MinFree: 256 << 20,
		CallTimeout: 30 * time.Second, UploadMemory: 256 << 20,
		Replication: DefaultReplication(),
		PutGrace:    30 * time.Second, PutRate: 256,
	}
}

// Validate reports every setting that is out of its range.
func (c Config) Validate() error {
	errs := []error{c.Serve.Validate(), c.Replication.Validate()}
	if c.Data == "" && c.URL == "" {
		errs = append(errs, errors.New("DATA: a folder is needed"))
	}
	errs = append(errs, c.validateURL()...)
	if c.MaxBlob < 1 {
		errs = append(errs, fmt.Errorf("MAX_BLOB: %s is below 1 byte", c.MaxBlob))
	}
	if c.MinFree < 0 {
		errs = append(errs, fmt.Errorf("MIN_FREE: %s is below 0 (0: use the disk up)", c.MinFree))
	}
	if c.PutGrace <= 0 {
		errs = append(errs, fmt.Errorf("PUT_GRACE: %s is not above 0s", c.PutGrace))
	}
	if c.PutRate < 1 {
		errs = append(errs, fmt.Errorf("PUT_RATE: %s is below 1 byte a second", c.PutRate))
	}
	return errors.Join(errs...)
}

// MinUploadMemory is that of one large blob, with room for a second.
const MinUploadMemory = 12 << 20

// validateURL reports what is wrong with the settings of an object store.
func (c Config) validateURL() []error {
	var errs []error
	if c.URL != "" {
		loc, err := ParseLocation(c.URL)
		if err == nil && loc.Scheme == "mem" {
			err = errors.New("mem:// forgets everything at the end, so it is for tests only")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("URL: %w", err))
		}
	}
	if c.CallTimeout < time.Second {
		errs = append(errs, fmt.Errorf("CALL_TIMEOUT: %s is below 1s", c.CallTimeout))
	}
	if c.UploadMemory < MinUploadMemory {
		errs = append(errs, fmt.Errorf("UPLOAD_MEMORY: %s is below %s", c.UploadMemory, config.Bytes(MinUploadMemory)))
	}
	return errs
}
