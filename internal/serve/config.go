package serve

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Config is what every service's HTTP side is set by.
type Config struct {
	Listen    string `env:"LISTEN" help:"address to listen on, host:port; port 0 picks a free one"`
	Advertise string `env:"ADVERTISE" help:"host name or address that others reach this service under; empty: the listening one, or this machine's first address"`

	Token string `env:"CLUSTER_TOKEN" global:"true" secret:"true" help:"shared secret of all services; empty: loopback only"`

	MaxRequests int           `env:"MAX_REQUESTS" help:"requests served at once; one more is refused with 429"`
	Linger      time.Duration `env:"LINGER" global:"true" help:"how long a stopping service goes on serving after it has withdrawn, 0s to 1m"`
	Grace       time.Duration `env:"GRACE" global:"true" help:"how long requests in hand may take to end when a service stops, up to 10m"`
	ReadTimeout time.Duration `env:"READ_TIMEOUT" global:"true" help:"how long a request's header, or a small body, may take to arrive"`
	Pprof       bool          `env:"PPROF" global:"true" help:"serve /debug/pprof on the internal listener"`
}

// DefaultConfig gives the defaults for a listening address.
func DefaultConfig(listen string) Config {
	return Config{
		Listen: listen, MaxRequests: 4096, Linger: 300 * time.Millisecond,
		Grace: 20 * time.Second, ReadTimeout: 10 * time.Second,
	}
}

// Validate reports every setting that is out of its range.
func (c Config) Validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("LISTEN: %q is not host:port", c.Listen))
	}
	if c.MaxRequests < 1 {
		errs = append(errs, fmt.Errorf("MAX_REQUESTS: %d is below 1", c.MaxRequests))
	}
	if c.Linger < 0 || c.Linger > time.Minute {
		errs = append(errs, fmt.Errorf("LINGER: %s is outside 0s to 1m", c.Linger))
	}
	if c.Grace <= 0 || c.Grace > 10*time.Minute {
		errs = append(errs, fmt.Errorf("GRACE: %s is outside 1ms to 10m", c.Grace))
	}
	if c.ReadTimeout <= 0 {
		errs = append(errs, fmt.Errorf("READ_TIMEOUT: %s is not above 0", c.ReadTimeout))
	}
	return errors.Join(errs...)
}

// loopback reports whether an address is bound to this machine only.
func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// advertised gives the host:port under which others reach addr.
func advertised(addr net.Addr, advertise string) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if advertise != "" {
		if h, p, err := net.SplitHostPort(advertise); err == nil {
			return net.JoinHostPort(h, p)
		}
		return net.JoinHostPort(advertise, port)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = firstAddress()
	}
	return net.JoinHostPort(host, port)
}

// firstAddress gives the machine's first address that is not loopback.
func firstAddress() string {
	addrs, err := net.InterfaceAddrs()
	if err == nil {
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && n.IP.To4() != nil {
				return n.IP.String()
			}
		}
	}
	return "127.0.0.1"
}
