package gossip

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"time"
)

// Config says where a member listens, whom it joins and how patient it is. Fields
// that are zero take the values of Defaults.
type Config struct {
	// Name is what the member's name begins with, for people: letters, digits and
	// '-', at most 32. A random part follows, so that it may be the same everywhere.
	Name string
	// Bind is the address to listen on, UDP and TCP: ip:port, port 0 for a free one.
	// Beyond loopback it needs a Key.
	Bind string
	// Advertise is where others reach the member: host or host:port. If empty, the
	// address bound to, or the machine's first one where that is all of them.
	Advertise string
	// Join are addresses of other members, host:port. Any one that answers is
	// enough, the member's own may be among them, and none of them need be there yet.
	Join []string
	// Key encrypts everything: base64 of 16, 24 or 32 bytes, the same for all
	// members. Who has another one is kept out.
	Key string
	// Label tells this cluster from others: members with another one do not hear
	// each other.
	Label string
	// Dir is a folder of this member alone that keeps its name, its peers and the
	// settings through a restart. If empty nothing is kept.
	Dir string

	// TTL is how long an instance stays visible after its process was killed, in
	// clusters of up to fifty members; a second more in the worst case, half of it
	// as a rule. Members are probed twenty times in that time.
	TTL time.Duration
	// GossipInterval is the pause between two rounds of gossip. A change needs about
	// four of them to reach fifty members.
	GossipInterval time.Duration
	// RejoinInterval is the pause between two looks for lost members, and for join
	// addresses where nobody is known; and between two exchanges of all that is known
	// of members with another one, which makes good what gossip lost.
	RejoinInterval time.Duration
	// RepairInterval is the pause between two rounds of asking others for newer
	// settings. It is spread by a tenth.
	RepairInterval time.Duration
	// CallTimeout bounds each exchange with another member.
	CallTimeout time.Duration
	// StopTimeout bounds a withdrawal, and the leave when the member stops.
	StopTimeout time.Duration
}

// Defaults are the values for all that a Config leaves zero.
func Defaults() Config {
	return Config{
		Name:           "node",
		Bind:           "127.0.0.1:0",
		Label:          "discovery",
		TTL:            10 * time.Second,
		GossipInterval: 20 * time.Millisecond,
		RejoinInterval: time.Second,
		RepairInterval: 2 * time.Second,
		CallTimeout:    2 * time.Second,
		StopTimeout:    2 * time.Second,
	}
}

var memberName = regexp.MustCompile(`^[A-Za-z0-9-]{1,32}$`)

// Validate names each field that cannot work, and what is allowed. It judges the
// config as it is, before defaults: zero is right wherever there is a default.
func (c Config) Validate() error {
	full := c.withDefaults()
	errs := []error{full.checkAddresses()}
	if !memberName.MatchString(full.Name) {
		errs = append(errs, fmt.Errorf("name %q: want letters, digits and '-', at most 32", c.Name))
	}
	if len(full.Label) > 64 {
		errs = append(errs, fmt.Errorf("label of %d bytes: want at most 64", len(c.Label)))
	}
	if _, err := decodeKey(c.Key); err != nil {
		errs = append(errs, fmt.Errorf("key: %w", err))
	}
	for _, d := range []struct {
		name       string
		value, min time.Duration
	}{
		{"TTL", full.TTL, 100 * time.Millisecond}, {"gossip interval", full.GossipInterval, time.Millisecond},
		{"rejoin interval", full.RejoinInterval, time.Millisecond}, {"repair interval", full.RepairInterval, time.Millisecond},
		{"call timeout", full.CallTimeout, time.Millisecond}, {"stop timeout", full.StopTimeout, time.Millisecond},
	} {
		if d.value < d.min {
			errs = append(errs, fmt.Errorf("%s %s: want at least %s", d.name, d.value, d.min))
		}
	}
	return errors.Join(errs...)
}

// checkAddresses wants an IP to bind to, and a key where others can reach it.
func (c Config) checkAddresses() error {
	var errs []error
	ip, _, err := c.bind()
	switch {
	case err != nil:
		errs = append(errs, err)
	case !ip.IsLoopback() && c.Key == "":
		errs = append(errs, fmt.Errorf("bind %q: want a key, or a loopback address: other machines reach this one", c.Bind))
	}
	for _, addr := range c.Join {
		if _, _, err := splitAddr(addr); err != nil {
			errs = append(errs, fmt.Errorf("join: %w", err))
		}
	}
	if _, _, err := net.SplitHostPort(c.Advertise); err == nil {
		if _, _, err := splitAddr(c.Advertise); err != nil {
			errs = append(errs, fmt.Errorf("advertise: %w", err))
		}
	}
	return errors.Join(errs...)
}

// bind is the address to listen on.
func (c Config) bind() (net.IP, int, error) {
	host, text, err := net.SplitHostPort(c.Bind)
	port, portErr := strconv.ParseUint(text, 10, 16)
	switch host {
	case "localhost":
		host = "127.0.0.1"
	case "":
		host = "0.0.0.0"
	}
	ip := net.ParseIP(host)
	if err != nil || portErr != nil || ip == nil {
		return nil, 0, fmt.Errorf("bind %q: want ip:port", c.Bind)
	}
	return ip, int(port), nil
}

// splitAddr parts host:port of another member, which never has port 0.
func splitAddr(addr string) (string, int, error) {
	host, text, err := net.SplitHostPort(addr)
	port, portErr := strconv.ParseUint(text, 10, 16)
	if err != nil || portErr != nil || host == "" || port == 0 {
		return "", 0, fmt.Errorf("%q: want host:port", addr)
	}
	return host, int(port), nil
}

// decodeKey gives the bytes of a key, nil for none.
func decodeKey(key string) ([]byte, error) {
	if key == "" {
		return nil, nil
	}
	b, err := base64.StdEncoding.DecodeString(key)
	if err != nil || (len(b) != 16 && len(b) != 24 && len(b) != 32) {
		return nil, errors.New("want base64 of 16, 24 or 32 bytes; make one with: openssl rand -base64 32")
	}
	return b, nil
}

func (c Config) withDefaults() Config {
	d := Defaults()
	orDefault(&c.Name, d.Name)
	orDefault(&c.Bind, d.Bind)
	orDefault(&c.Label, d.Label)
	orDefault(&c.TTL, d.TTL)
	orDefault(&c.GossipInterval, d.GossipInterval)
	orDefault(&c.RejoinInterval, d.RejoinInterval)
	orDefault(&c.RepairInterval, d.RepairInterval)
	orDefault(&c.CallTimeout, d.CallTimeout)
	orDefault(&c.StopTimeout, d.StopTimeout)
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
	// Log hears of members that come and go and of trouble; nil for silence.
	Log *slog.Logger
}
