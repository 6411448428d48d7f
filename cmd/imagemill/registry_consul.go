package main

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"imagemill/pkg/discovery/consul"
)

// consulConfig is what a registry with Consul's API is set by, beside its address.
type consulConfig struct {
	Token         string   `env:"CONSUL_TOKEN" secret:"true" help:"ACL token of a Consul; empty: the cluster token, which a kvstore asks for"`
	Datacenter    string   `env:"CONSUL_DATACENTER" help:"datacenter of the registry; empty: that of the node that is asked"`
	Prefix        string   `env:"CONSUL_PREFIX" help:"folder of keys that holds all that the suite keeps in the registry, such as mill; two suites in one registry need two; empty: the root"`
	CACert        string   `env:"CONSUL_CACERT" help:"file of the authorities to trust, for consul+https://; empty: the system's"`
	ClientCert    string   `env:"CONSUL_CLIENT_CERT" help:"file of the certificate to show to the registry, with CONSUL_CLIENT_KEY"`
	ClientKey     string   `env:"CONSUL_CLIENT_KEY" help:"file of that certificate's key"`
	ServerName    string   `env:"CONSUL_TLS_SERVER_NAME" help:"name that the registry's certificate must have, such as server.dc1.consul; empty: the address's host"`
	Catalog       bool     `env:"CONSUL_CATALOG" help:"enter services in the catalogue of a Consul agent as well, for its DNS, web page and Prometheus"`
	CatalogPrefix string   `env:"CONSUL_CATALOG_PREFIX" help:"what their names begin with there: letters, digits and '-'"`
	CatalogTags   []string `env:"CONSUL_CATALOG_TAGS" help:"tags that they have there, beside their own"`
}

func defaultConsul() consulConfig {
	return consulConfig{CatalogPrefix: "imagemill-"}
}

// client gives the settings of the registry's client. token is the cluster's.
func (c registryConfig) client(kind, addresses, token string) (consul.Config, error) {
	cfg := consul.Defaults()
	scheme := "http://"
	if kind == kindConsulTLS {
		scheme = "https://"
	}
	for i, addr := range strings.Split(addresses, ",") {
		addr = strings.TrimSpace(addr)
		if err := checkHostPort(addr); err != nil {
			return cfg, fmt.Errorf("DISCOVERY: %w: want %s://host:port, or several with commas between them", err, kind)
		}
		if i == 0 {
			cfg.Address = scheme + addr
		} else {
			cfg.Others = append(cfg.Others, scheme+addr)
		}
	}
	k := c.Consul
	cfg.Token, cfg.Datacenter, cfg.TTL = token, k.Datacenter, c.TTL
	cfg.Prefix, cfg.Settings = path.Join(k.Prefix, cfg.Prefix), path.Join(k.Prefix, cfg.Settings)
	if k.Token != "" {
		cfg.Token = k.Token
	}
	cfg.TLS = consul.TLS{CAFile: k.CACert, CertFile: k.ClientCert, KeyFile: k.ClientKey, ServerName: k.ServerName}
	if k.Catalog {
		cfg.Catalog = &consul.Catalog{Prefix: k.CatalogPrefix, Tags: k.CatalogTags}
	}
	return cfg, nil
}

// validateConsul reports every setting of the client that cannot work.
func (c registryConfig) validateConsul(kind, addresses string) error {
	_, err := c.client(kind, addresses, "")
	errs := []error{err}
	if c.TTL < 10*time.Millisecond || c.TTL > 24*time.Hour {
		errs = append(errs, fmt.Errorf("DISCOVERY_TTL: %s is outside 10ms to 24h", c.TTL))
	}
	k := c.Consul
	if k.Prefix != "" && (k.Prefix != path.Clean(k.Prefix) || strings.Trim(k.Prefix, "/.") != k.Prefix) {
		errs = append(errs, fmt.Errorf("CONSUL_PREFIX: %q: want names with '/' between them, and none at the ends", k.Prefix))
	}
	if !consul.ValidCatalogPrefix(k.CatalogPrefix) {
		errs = append(errs, fmt.Errorf("CONSUL_CATALOG_PREFIX: %q: want letters, digits and '-'", k.CatalogPrefix))
	}
	if (k.ClientCert == "") != (k.ClientKey == "") {
		errs = append(errs, errors.New("CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY: want both or neither"))
	}
	for _, f := range []struct{ name, value string }{
		{"CONSUL_CACERT", k.CACert}, {"CONSUL_CLIENT_CERT", k.ClientCert}, {"CONSUL_TLS_SERVER_NAME", k.ServerName},
	} {
		if f.value != "" && kind != kindConsulTLS {
			errs = append(errs, fmt.Errorf("%s: it is for consul+https:// only, and DISCOVERY says %s://", f.name, kind))
		}
	}
	return errors.Join(errs...)
}

// openConsul makes the client of a kvstore or a Consul.
func (c *common) openConsul(kind, addresses, token string) (opened, error) {
	cfg, err := c.Registry.client(kind, addresses, token)
	if err != nil {
		return opened{}, fmt.Errorf("IMAGEMILL_%w", err)
	}
	reg, err := consul.New(cfg, consul.Deps{Log: c.log})
	if err != nil {
		return opened{}, fmt.Errorf("IMAGEMILL_DISCOVERY: %w", err)
	}
	return opened{registry: reg}, nil
}
