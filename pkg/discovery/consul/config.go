package consul

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"log/slog"

	"imagemill/pkg/discovery"
)

// Config says which registry to use and how patiently. Fields that are zero take
// the values of Defaults.
type Config struct {
	// Address is the registry's URL, http://host:port or https://host:port.
	Address string
	// Others are further nodes of the same registry. One node is used at a time; when
	// it fails, another is.
	Others []string
	// Token goes along with every request as X-Consul-Token; may be empty.
	Token string
	// Datacenter is whose registry is meant, empty for the node's own. Instances can
	// be announced in the node's own only, since their sessions belong to it.
	Datacenter string
	// TLS is for https addresses.
	TLS TLS
	// Catalog, if not nil, enters instances in the service catalogue as well.
	Catalog *Catalog
	// Prefix is the folder of keys that instances live in, without slashes at its
	// ends. Two suites in one registry use two prefixes.
	Prefix string
	// Settings is the folder of keys that the shared settings live in, likewise.
	Settings string
	// TTL is how long an instance stays visible after its process was killed. Its
	// session is renewed three times in that time. A real Consul takes 10 s to
	// 24 h, and may let a session live for up to twice its TTL.
	TTL time.Duration
	// Wait is how long a watch asks the registry to hold a query open, at most
	// 10 minutes with a real Consul. It is also how long a watch may go on believing
	// in a registry that has stopped without closing its connections, as long as
	// nothing is announced through the same Registry.
	Wait time.Duration
	// CallTimeout bounds each call but the long polls. Where a third of the TTL is
	// less, that counts for keeping an announcement, down to half a second: so there
	// is time for another attempt.
	CallTimeout time.Duration
	// StopTimeout bounds the withdrawal when an announcement ends.
	StopTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause after a failed call. It doubles
	// with each failure and is spread at random over its upper half.
	BackoffMin, BackoffMax time.Duration
	// Rate bounds the queries of one watch, per second, however often the data
	// change. Up to the same number may come at once.
	Rate float64
}

// Defaults are the values for all that a Config leaves zero. There is no default
// for Address.
func Defaults() Config {
	return Config{
		Prefix:      "services",
		Settings:    strings.TrimSuffix(discovery.SettingsPrefix, "/"),
		TTL:         10 * time.Second,
		Wait:        time.Minute,
		CallTimeout: 5 * time.Second,
		StopTimeout: 3 * time.Second,
		BackoffMin:  100 * time.Millisecond,
		BackoffMax:  5 * time.Second,
		Rate:        10,
	}
}

// Validate names each field that cannot work, and what is allowed. It judges the
// config as it is, before defaults: zero is right wherever there is a default.
func (c Config) Validate() error {
	var errs []error
	for _, a := range c.addresses() {
		u, err := url.Parse(a)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			errs = append(errs, fmt.Errorf("address %q: want http://host:port or https://host:port", a))
		}
	}
	for name, prefix := range map[string]string{"prefix": c.Prefix, "settings": c.Settings} {
		if strings.HasPrefix(prefix, "/") || strings.HasSuffix(prefix, "/") {
			errs = append(errs, fmt.Errorf("%s %q: want no slash at either end", name, prefix))
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"TTL", c.TTL}, {"wait", c.Wait}, {"call timeout", c.CallTimeout}, {"stop timeout", c.StopTimeout},
		{"minimal backoff", c.BackoffMin}, {"maximal backoff", c.BackoffMax},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s %s: want more than 0", d.name, d.value))
		}
	}
	if full := c.withDefaults(); full.BackoffMax < full.BackoffMin {
		errs = append(errs, fmt.Errorf("maximal backoff %s: want at least the minimal one, %s", full.BackoffMax, full.BackoffMin))
	}
	if c.Rate < 0 {
		errs = append(errs, fmt.Errorf("rate %g: want more than 0 queries a second", c.Rate))
	}
	if c.Catalog != nil && (c.Catalog.Reap < 0 || !ValidCatalogPrefix(c.Catalog.Prefix)) {
		errs = append(errs, fmt.Errorf("catalogue prefix %q, reap %s: want letters, digits and '-', and no negative time", c.Catalog.Prefix, c.Catalog.Reap))
	}
	return errors.Join(errs...)
}

// catalogPrefix keeps the names usable for Consul's DNS.
var catalogPrefix = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9-]*)?$`)

// ValidCatalogPrefix tells whether a Catalog may have the prefix: letters, digits
// and "-", or nothing.
func ValidCatalogPrefix(prefix string) bool { return catalogPrefix.MatchString(prefix) }

func (c Config) addresses() []string { return append([]string{c.Address}, c.Others...) }

func (c Config) withDefaults() Config {
	d := Defaults()
	orDefault(&c.Prefix, d.Prefix)
	orDefault(&c.Settings, d.Settings)
	orDefault(&c.TTL, d.TTL)
	orDefault(&c.Wait, d.Wait)
	orDefault(&c.CallTimeout, d.CallTimeout)
	orDefault(&c.StopTimeout, d.StopTimeout)
	orDefault(&c.BackoffMin, d.BackoffMin)
	orDefault(&c.BackoffMax, d.BackoffMax)
	orDefault(&c.Rate, d.Rate)
	return c
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Deps are what a Registry leans on; all may be left out.
type Deps struct {
	// Log hears of losses and recoveries; nil for silence.
	Log *slog.Logger
	// HTTPClient makes the calls; nil for one of the registry's own. It must not
	// have a Timeout shorter than Config.Wait.
	HTTPClient *http.Client
}
