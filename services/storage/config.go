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

	Data    string       `env:"DATA" help:"folder that holds the blobs"`
	MaxBlob config.Bytes `env:"MAX_BLOB" help:"largest blob that is taken; what is larger is refused with 413"`
	MinFree config.Bytes `env:"MIN_FREE" help:"disk space that stays free; an upload that would leave less is refused with 507"`

	PutGrace time.Duration `env:"PUT_GRACE" help:"how long the first byte of a blob may take, and every pause after it, at least"`
	PutRate  config.Bytes  `env:"PUT_RATE" help:"bytes a second that a blob must arrive with on average"`
}

// DefaultConfig gives the defaults. The pace is laxer than the frontend's, so
// that a slow user is told by the frontend.
func DefaultConfig() Config {
	return Config{
		Serve: serve.DefaultConfig("127.0.0.1:8084"), Data: "data/storage", MaxBlob: 1 << 30, MinFree: 256 << 20,
		PutGrace: 30 * time.Second, PutRate: 256,
	}
}

// Validate reports every setting that is out of its range.
func (c Config) Validate() error {
	errs := []error{c.Serve.Validate()}
	if c.Data == "" {
		errs = append(errs, errors.New("DATA: a folder is needed"))
	}
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
