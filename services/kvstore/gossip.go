package kvstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"imagemill/internal/serve"
)

// gossipFile keeps the last known members, so that a node finds the others
// again after a restart though JOIN may name none of them any more.
const gossipFile = "gossip.snapshot"

// newGossip starts Serf. Its intervals all follow from GOSSIP_PROBE.
func (c *cluster) newGossip(ctx context.Context, tags map[string]string, events chan<- serf.Event) (*serf.Serf, error) {
	m, err := c.memberlistConfig(ctx)
	if err != nil {
		return nil, err
	}
	out := &gossipLog{log: c.log, often: c.often}
	quiet := log.New(out, "", 0)
	m.Logger = quiet
	probe, set := c.cfg.Cluster.GossipProbe, serf.DefaultConfig()
	set.Init()
	set.NodeName, set.Tags, set.EventCh, set.MemberlistConfig = c.cfg.NodeName, tags, events, m
	set.Logger, set.LogOutput = quiet, io.Discard
	set.ReconnectInterval, set.ReconnectTimeout = 5*probe, c.cfg.Cluster.ReapAfter
	set.ReapInterval = min(15*probe, c.cfg.Cluster.ReapAfter/4)
	set.TombstoneTimeout = c.cfg.Cluster.ReapAfter
	set.LeavePropagateDelay, set.BroadcastTimeout = probe, 5*probe
	// Two nodes of one name are a mistake that somebody has to mend; ending
	// whichever is outvoted would hide it.
	set.EnableNameConflictResolution = false
	set.DisableCoordinates = true
	set.RejoinAfterLeave = true
	if c.cfg.DataDir != "" {
		set.SnapshotPath = filepath.Join(c.cfg.DataDir, gossipFile)
	}
	if err := c.wires.gossip(m); err != nil {
		return nil, err
	}
	g, err := serf.Create(set)
	if err != nil {
		return nil, fmt.Errorf("%s: start gossip on %s: %w", setting("GOSSIP_LISTEN"), c.cfg.Cluster.GossipListen, err)
	}
	return g, nil
}

// memberlistConfig is the half of Serf's configuration that is the network's.
func (c *cluster) memberlistConfig(ctx context.Context) (*memberlist.Config, error) {
	addr, err := resolve(ctx, c.cfg.Cluster.GossipListen)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting("GOSSIP_LISTEN"), err)
	}
	if err := c.mayListen("GOSSIP_LISTEN", addr.IP); err != nil {
		return nil, err
	}
	if err := c.isFree(ctx, addr); err != nil {
		return nil, err
	}
	probe, m := c.cfg.Cluster.GossipProbe, memberlist.DefaultLANConfig()
	m.BindAddr, m.BindPort = addr.IP.String(), addr.Port
	if m.AdvertiseAddr, m.AdvertisePort, err = c.gossipAdvertised(ctx, addr); err != nil {
		return nil, err
	}
	if m.SecretKey, err = gossipKey(c.cfg.Cluster.GossipKey, c.cfg.HTTP.Token); err != nil {
		return nil, err
	}
	m.ProbeInterval, m.ProbeTimeout = probe, probe/2
	m.GossipInterval, m.GossipToTheDeadTime = probe/5, 30*probe
	m.PushPullInterval, m.TCPTimeout = 15*probe, max(10*probe, time.Second)
	// A node may come back under another address, as containers do.
	m.DeadNodeReclaimTime = 2 * probe
	return m, nil
}

// isFree tries the gossip address for a moment: Serf would not say plainly that
// another program has it.
func (c *cluster) isFree(ctx context.Context, addr *net.TCPAddr) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr.String())
	if err != nil {
		return serve.ListenError("kvstore", setting("GOSSIP_LISTEN"), c.cfg.Cluster.GossipListen, err)
	}
	return ln.Close()
}

// gossipAdvertised gives the address for the others; Serf takes no names there.
func (c *cluster) gossipAdvertised(ctx context.Context, listen *net.TCPAddr) (string, int, error) {
	text, err := advertised(listen, c.cfg.Cluster.GossipAdvertise, c.cfg.HTTP.Advertise)
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w", setting("GOSSIP_ADVERTISE"), err)
	}
	addr, err := resolve(ctx, text)
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w", setting("GOSSIP_ADVERTISE"), err)
	}
	return addr.IP.String(), addr.Port, nil
}

// resolve turns host:port into an address.
func resolve(ctx context.Context, text string) (*net.TCPAddr, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return nil, fmt.Errorf("read address: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("read port of %s: %w", text, err)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil || len(ips) == 0 {
		return nil, fmt.Errorf("look up %s: %w", host, errors.Join(err, os.ErrNotExist))
	}
	return &net.TCPAddr{IP: ips[0].IP, Port: int(number)}, nil
}

// mayListen refuses a port that others reach while nothing secret protects it.
func (c *cluster) mayListen(name string, ip net.IP) error {
	if ip.IsLoopback() || c.cfg.Cluster.GossipKey != "" || c.cfg.HTTP.Token != "" {
		return nil
	}
	return fmt.Errorf("%s: %s is reachable from other machines and nothing protects it: set IMAGEMILL_CLUSTER_TOKEN to what "+
		"`openssl rand -hex 32` prints, the same on every node, or listen on 127.0.0.1", setting(name), ip)
}

// gossipLog takes the lines that Serf and memberlist write. Both log every bad
// packet by itself, so a line of each form passes once a minute only.
type gossipLog struct {
	log   *slog.Logger
	often *occasional
}

// Write takes one line, "[LEVEL] component: text".
func (g *gossipLog) Write(p []byte) (int, error) {
	line := string(bytes.TrimSpace(p))
	level, text, found := strings.Cut(strings.TrimPrefix(line, "["), "] ")
	switch {
	case !found:
		text = line
	case level == "DEBUG" || level == "INFO" || strings.HasSuffix(text, "Shutdown without a Leave"):
		// A node that stops without leaving is meant to: it keeps its vote.
		g.log.Debug(text, "part", "gossip")
		return len(p), nil
	}
	kind, msg := "gossip "+formOf(text), text
	if strings.Contains(text, " from=") {
		// What a sender gets wrong has many forms; together they are told once.
		kind, msg = "gossip stranger", "somebody was kept out of gossip, for want of this cluster's key or of sense"
	}
	if ok, missed := g.often.allow(kind); ok {
		g.log.Warn(msg, "part", "gossip", "error", text, "leftOut", missed)
	}
	return len(p), nil
}

// formOf is a message without what differs from one time to the next.
func formOf(text string) string {
	text = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '0'
		}
		return r
	}, text)
	return text[:min(len(text), 40)]
}
