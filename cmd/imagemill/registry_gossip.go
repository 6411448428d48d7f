package main

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"imagemill/internal/rungroup"
	"imagemill/pkg/discovery/gossip"
)

// gossipConfig is what a registry without any store is set by, beside the members
// that are joined.
type gossipConfig struct {
	Listen    string `env:"DISCOVERY_GOSSIP_LISTEN" help:"address for gossip, UDP and TCP, ip:port; port 0 picks a free one"`
	Advertise string `env:"DISCOVERY_GOSSIP_ADVERTISE" help:"host, or host:port, that others reach this process's gossip under; empty: the listening one, or this machine's first address"`
	Key       string `env:"DISCOVERY_GOSSIP_KEY" secret:"true" help:"base64 of 16, 24 or 32 bytes that gossip is encrypted with; empty: made from the cluster token"`
	Data      string `env:"DISCOVERY_GOSSIP_DATA" help:"folder in which each service keeps the members and the shared settings, for its next start; empty: they are not kept"`
}

func defaultGossip() gossipConfig { return gossipConfig{Listen: anyPort} }

// addresses are the members to be joined, "host:port,host:port" or none.
func (c gossipConfig) addresses(list string) ([]string, error) {
	var out []string
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		if err := checkHostPort(item); err != nil {
			return nil, fmt.Errorf("DISCOVERY: %w, which gossip:// is followed by, or by nothing at the first member", err)
		}
		out = append(out, item)
	}
	return out, nil
}

// validate reports what cannot work; whether a key is there is known only with
// the cluster token.
func (c gossipConfig) validate(list string) error {
	_, err := c.addresses(list)
	if keyErr := (gossip.Config{Key: c.Key}).Validate(); keyErr != nil {
		err = errors.Join(err, errors.New("DISCOVERY_GOSSIP_KEY: "+strings.TrimPrefix(keyErr.Error(), "key: ")))
	}
	if _, _, splitErr := net.SplitHostPort(c.Listen); splitErr != nil {
		err = errors.Join(err, fmt.Errorf("DISCOVERY_GOSSIP_LISTEN: %q is not ip:port", c.Listen))
	}
	return err
}

// openGossip makes this process a member. The services of one process are one
// member, which up opens for all of them.
func (c *common) openGossip(list, token string) (opened, error) {
	if c.member != nil {
		return opened{registry: c.member}, nil
	}
	member, run, err := c.newMember(list, token)
	return opened{registry: member, run: run}, err
}

// newMember makes a member named after the service.
func (c *common) newMember(list, token string) (*gossip.Registry, rungroup.Func, error) {
	g := c.Registry.Gossip
	join, err := g.addresses(list)
	if err != nil {
		return nil, nil, fmt.Errorf("IMAGEMILL_%w", err)
	}
	key, err := g.key(token)
	if err != nil {
		return nil, nil, err
	}
	if addr, err := net.ResolveTCPAddr("tcp", g.Listen); key == "" && (err != nil || !addr.IP.IsLoopback()) {
		return nil, nil, fmt.Errorf("IMAGEMILL_DISCOVERY_GOSSIP_LISTEN (--discovery-gossip-listen): %s is reachable from other machines and nothing protects it: "+
			"set IMAGEMILL_CLUSTER_TOKEN or IMAGEMILL_DISCOVERY_GOSSIP_KEY, the same for all services, or listen on 127.0.0.1", g.Listen)
	}
	service, _, _ := strings.Cut(c.instance, "-")
	cfg := gossip.Config{
		Name: service, Bind: g.Listen, Advertise: g.Advertise, Join: join, Key: key,
		Label: "imagemill", TTL: c.Registry.TTL,
	}
	lock := io.Closer(io.NopCloser(nil))
	if g.Data != "" {
		if cfg.Dir, lock, err = g.folder(service); err != nil {
			return nil, nil, err
		}
	}
	member, err := gossip.New(cfg, gossip.Deps{Log: c.log})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("IMAGEMILL_DISCOVERY_GOSSIP_LISTEN, IMAGEMILL_DISCOVERY_GOSSIP_ADVERTISE: %w", err), lock.Close())
	}
	return member, func(ctx context.Context) error { return errors.Join(member.Run(ctx), lock.Close()) }, nil
}

// maxFolders bounds the processes of one service that share DISCOVERY_GOSSIP_DATA.
const maxFolders = 256

// folder finds one below DISCOVERY_GOSSIP_DATA for this process alone, since two members with
// one name would push each other out: "worker", or "worker-2" where that is in use.
func (c gossipConfig) folder(service string) (string, io.Closer, error) {
	for i := 1; ; i++ {
		dir := filepath.Join(c.Data, service)
		if i > 1 {
			dir += "-" + strconv.Itoa(i)
		}
		lock, err := lockFolder(service, "IMAGEMILL_DISCOVERY_GOSSIP_DATA (--discovery-gossip-data)", dir)
		if err == nil || !errors.Is(err, errInUse) || i == maxFolders {
			return dir, lock, err
		}
	}
}

// shareMember makes the whole process one member, where the registry is gossip:
// its services could not find each other if each had to be joined.
func (u *upConfig) shareMember(g *rungroup.Group, logs io.Writer) error {
	kind, list, err := u.common.Registry.split()
	if err != nil || kind != kindGossip {
		return err
	}
	u.below(&u.common.Registry.Gossip.Data, "", "gossip")
	c := u.common
	if err := c.open("up", logs); err != nil {
		return err
	}
	member, run, err := c.newMember(list, u.frontend.Serve.Token)
	if err != nil {
		return err
	}
	u.common.member = member
	g.Add("gossip", run)
	return nil
}

// key gives the encryption key; the cluster's one secret is enough.
func (c gossipConfig) key(token string) (string, error) {
	if c.Key != "" || token == "" {
		return c.Key, nil
	}
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "imagemill gossip", 32)
	if err != nil {
		return "", fmt.Errorf("make gossip key: %w", err)
	}
	return base64.StdEncoding.EncodeToString(key), nil
}
