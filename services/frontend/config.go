package frontend

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"imagemill/internal/config"
	"imagemill/internal/serve"
	"imagemill/pkg/pipeline"
)

// Config is what a frontend is set by.
type Config struct {
	Serve serve.Config

	Internal string   `env:"INTERNAL_LISTEN" help:"address of the internal listener with /metrics, /services and /config; empty: none"`
	APIKeys  []string `env:"API_KEYS" secret:"true" help:"keys that users must send, comma-separated, 16 characters or more each; empty: loopback only, no key needed"`

	MaxBody    config.Bytes  `env:"MAX_BODY" help:"largest upload"`
	MaxUploads int           `env:"MAX_UPLOADS" help:"uploads at once; one more is refused with 503"`
	BodyGrace  time.Duration `env:"BODY_GRACE" help:"slack for a slow upload, 100ms to 10m"`
	BodyRate   config.Bytes  `env:"BODY_RATE" help:"least average rate of an upload, per second"`

	InputPixels int64  `env:"INPUT_PIXELS" help:"most pixels of an original, refused from its header"`
	Side        int    `env:"SIDE" help:"longest side of an original, in pixels"`
	Presets     string `env:"PRESETS" help:"JSON file with an object of presets by name, added to the built-in ones"`
}

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		Serve: serve.DefaultConfig("127.0.0.1:8080"), MaxBody: 64 << 20, MaxUploads: 256,
		BodyGrace: 10 * time.Second, BodyRate: 4 << 10, InputPixels: 50_000_000, Side: 16384,
	}
}

// minKey is the least length of an API key.
const minKey = 16

// Validate reports every setting that is out of its range.
func (c Config) Validate() error {
	errs := []error{c.Serve.Validate()}
	if slices.ContainsFunc(c.APIKeys, func(k string) bool { return len(k) < minKey }) {
		errs = append(errs, fmt.Errorf("API_KEYS: a key is shorter than %d characters", minKey))
	}
	if c.MaxBody < 1 || c.BodyRate < 1 {
		errs = append(errs, errors.New("MAX_BODY, BODY_RATE: must be above 0"))
	}
	if c.MaxUploads < 1 {
		errs = append(errs, fmt.Errorf("MAX_UPLOADS: %d is below 1", c.MaxUploads))
	}
	if c.BodyGrace < 100*time.Millisecond || c.BodyGrace > 10*time.Minute {
		errs = append(errs, fmt.Errorf("BODY_GRACE: %s is outside 100ms to 10m", c.BodyGrace))
	}
	if c.InputPixels < 1 || c.Side < 1 {
		errs = append(errs, errors.New("INPUT_PIXELS, SIDE: must be above 0"))
	}
	return errors.Join(errs...)
}

// loadPresets gives the built-in presets and those of the file, which win.
func loadPresets(path string) (map[string]pipeline.Pipeline, error) {
	all := pipeline.DefaultPresets()
	if path == "" {
		return all, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("PRESETS: %w", err)
	}
	var docs map[string]json.RawMessage
	if err := json.Unmarshal(data, &docs); err != nil {
		return nil, fmt.Errorf("PRESETS: %s is no JSON object of presets: %w", path, err)
	}
	for name, doc := range docs {
		p, err := pipeline.Parse(doc)
		if err != nil {
			return nil, fmt.Errorf("PRESETS: preset %q: %w", name, err)
		}
		all[name] = p
	}
	return all, nil
}
