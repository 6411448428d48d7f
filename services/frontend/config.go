package frontend

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"imagemill/internal/config"
	"imagemill/internal/secret"
	"imagemill/internal/serve"
	"imagemill/pkg/pipeline"
)

// Config is what a frontend is set by.
type Config struct {
	Serve serve.Config

	Internal  string   `env:"INTERNAL_LISTEN" help:"address of the internal listener with /metrics, /services and /config; empty: none"`
	Published string   `env:"PUBLISHED" help:"address of the host that this container's port is published on; when it is loopback, no keys are needed though LISTEN itself is not loopback"`
	APIKeys   []string `env:"API_KEYS" secret:"true" help:"keys that users must send, comma-separated, 16 characters or more each; empty: loopback only, no key needed"`

	MaxBody    config.Bytes  `env:"MAX_BODY" help:"largest upload"`
	MaxUploads int           `env:"MAX_UPLOADS" help:"uploads at once; one more is refused with 503"`
	BodyGrace  time.Duration `env:"BODY_GRACE" help:"slack for a slow upload, 100ms to 10m"`
	BodyRate   config.Bytes  `env:"BODY_RATE" help:"least average rate of an upload, per second"`

	InputPixels int64    `env:"INPUT_PIXELS" help:"most pixels of an original, refused from its header"`
	Side        int      `env:"SIDE" help:"longest side of an original, in pixels"`
	Inputs      []string `env:"INPUTS" help:"formats of originals that are taken in, by name, of those that the workers can read; auto: all of those"`
	Dedupe      bool     `env:"DEDUPE" help:"spare the work on a picture whose bytes came before, from the same key and for the same pipeline; the parameter dedupe of an upload says otherwise"`
	Presets     string   `env:"PRESETS" help:"JSON file with an object of presets by name, added to the built-in ones"`
}

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		Serve: serve.DefaultConfig("127.0.0.1:8080"), MaxBody: 64 << 20, MaxUploads: 256,
		BodyGrace: 10 * time.Second, BodyRate: 4 << 10, InputPixels: 50_000_000, Side: 16384,
		Inputs: []string{inputsAuto},
	}
}

// Validate reports every setting that is out of its range.
func (c Config) Validate() error {
	errs := []error{c.Serve.Validate()}
	for i, k := range c.APIKeys {
		if len(k) < secret.MinLength {
			errs = append(errs, fmt.Errorf("API_KEYS: key %d is shorter than %d characters", i+1, secret.MinLength))
		}
	}
	if c.Published != "" && len(c.APIKeys) == 0 && !loopbackHost(c.Published) {
		errs = append(errs, fmt.Errorf("PUBLISHED: the port is published on %s, for other machines, and nothing protects it: "+
			"set IMAGEMILL_FRONTEND_API_KEYS to keys that users must send (openssl rand -hex 32 makes one), "+
			"or publish it on 127.0.0.1", c.Published))
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
	errs = append(errs, c.checkInputs())
	return errors.Join(errs...)
}

// protected reports whether a listener beyond loopback is safe: users need keys,
// or the container's host lets only itself in.
func (c Config) protected() bool { return len(c.APIKeys) > 0 || loopbackHost(c.Published) }

// loopbackHost reports whether an address, without a port, is for this machine only.
func loopbackHost(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
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
