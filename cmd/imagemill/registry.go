package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"imagemill/internal/rungroup"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/static"
)

// registryConfig says where services are announced and looked up: the same for
// every service of a suite.
type registryConfig struct {
	Discovery string        `env:"DISCOVERY" help:"the registry: consul://host:port,host:port of a kvstore or a Consul (consul+https:// with TLS), gossip://host:port,host:port, or static://service=http://host:port,…"`
	TTL       time.Duration `env:"DISCOVERY_TTL" help:"how long the registry keeps a service that has died, 10ms to 24h; a Consul allows no less than 10s"`
	Consul    consulConfig
	Gossip    gossipConfig
}

func defaultRegistry() registryConfig {
	return registryConfig{Discovery: "consul://127.0.0.1:8500", TTL: 10 * time.Second, Consul: defaultConsul(), Gossip: defaultGossip()}
}

// opened is a registry and what has to run for as long as it is used.
type opened struct {
	registry discovery.Registry
	run      rungroup.Func // nil where nothing has to
}

// The kinds of registries that DISCOVERY may begin with.
const (
	kindConsul    = "consul"
	kindConsulTLS = "consul+https"
	kindGossip    = "gossip"
	kindStatic    = "static"
)

// errDiscovery lists what is allowed.
var errDiscovery = errors.New("is none of consul://host:port, consul+https://host:port, gossip://host:port,host:port " +
	"and static://service=http://host:port,…")

// split gives the kind of registry and what stands behind its "://".
func (c registryConfig) split() (kind, rest string, err error) {
	kind, rest, found := strings.Cut(strings.TrimSpace(c.Discovery), "://")
	switch kind {
	case kindConsul, kindConsulTLS, kindGossip, kindStatic:
		if found {
			return kind, rest, nil
		}
	}
	return "", "", fmt.Errorf("DISCOVERY: %q %w", c.Discovery, errDiscovery)
}

// Validate reports every setting that cannot work, by name. An empty DISCOVERY is
// for "up" to fill.
func (c registryConfig) Validate() error {
	if c.Discovery == "" {
		return nil
	}
	kind, rest, err := c.split()
	if err != nil {
		return err
	}
	switch kind {
	case kindConsul, kindConsulTLS:
		return c.validateConsul(kind, rest)
	case kindGossip:
		return c.Gossip.validate(rest)
	case kindStatic:
		_, err = parseStatic(rest)
	}
	return err
}

// registry makes the client of the registry. token is the cluster's.
func (c *common) openRegistry(token string) (opened, error) {
	kind, rest, err := c.Registry.split()
	if err != nil {
		return opened{}, fmt.Errorf("IMAGEMILL_%w", err)
	}
	switch kind {
	case kindStatic:
		reg, err := parseStatic(rest)
		if err != nil {
			return opened{}, fmt.Errorf("IMAGEMILL_%w", err)
		}
		return opened{registry: reg}, nil
	case kindGossip:
		return c.openGossip(rest, token)
	default:
		return c.openConsul(kind, rest, token)
	}
}

// parseStatic reads "storage=http://a:1,http://b:1,taskdb=http://c:2": each
// address belongs to the service that was named last.
func parseStatic(list string) (*static.Registry, error) {
	services := map[string][]string{}
	service := ""
	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimSpace(item)
		if name, url, named := strings.Cut(item, "="); named {
			service, item = strings.TrimSpace(name), strings.TrimSpace(url)
		}
		switch {
		case item == "":
			continue
		case service == "":
			return nil, fmt.Errorf("DISCOVERY: %q belongs to no service: want static://service=http://host:port,…", item)
		}
		if !slices.Contains(announced(), service) {
			return nil, fmt.Errorf("DISCOVERY: %q is no service: want one of %s", service, strings.Join(announced(), ", "))
		}
		services[service] = append(services[service], item)
	}
	if len(services) == 0 {
		return nil, errors.New("DISCOVERY: static:// names no address: want static://service=http://host:port,…")
	}
	reg, err := static.New(services)
	if err != nil {
		return nil, fmt.Errorf("DISCOVERY: %w", err)
	}
	return reg, nil
}

// announced are the services that look for each other.
func announced() []string { return []string{"frontend", "imagemaster", "storage", "taskdb", "worker"} }

// checkHostPort refuses an address that is not host:port.
func checkHostPort(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || port == "" || strings.ContainsAny(addr, "/?#@ ") {
		return fmt.Errorf("%q is not host:port", addr)
	}
	return nil
}
