package gossip

import (
	"context"
	"fmt"
	"log"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// maxEvents is how many of Serf's events may wait. They are taken out at once, so
// more than a few never do.
const maxEvents = 1024

// start makes the member and lets it listen, under the name and with the
// instances that are announced.
func (r *Registry) start(ctx context.Context, name string, join []string) (*agent, error) {
	logger := r.rare.serfLogger()
	w, err := r.listen(ctx, logger)
	if err != nil {
		return nil, err
	}
	tlsConfig, err := identity(r.key)
	if err != nil {
		_ = w.Shutdown()
		return nil, err
	}
	a := newAgent(r, name, join, w, tlsConfig)
	if a.peers, err = r.loadPeers(); err != nil {
		_ = w.Shutdown()
		return nil, err
	}
	tags, turn := r.book.current()
	cfg := r.serfConfig(name, tags, logger)
	cfg.EventCh, cfg.MemberlistConfig.Transport = a.events, w
	if a.serf, err = serf.Create(cfg); err != nil {
		_ = w.Shutdown()
		return nil, fmt.Errorf("start: %w", err)
	}
	r.book.inForce(turn)
	r.log.Info("gossip is on", "name", name, "address", w.Addr().String(), "encrypted", r.key != nil, "join", strings.Join(join, ","))
	return a, nil
}

// listen opens the port, UDP and TCP. A free TCP port may be taken for UDP, so a
// port of choice is tried a few times.
func (r *Registry) listen(ctx context.Context, logger *log.Logger) (*wire, error) {
	ip, port, err := r.cfg.bind()
	if err != nil {
		return nil, err
	}
	tries := 1
	if port == 0 {
		tries = 10
	}
	var inner *memberlist.NetTransport
	for range tries {
		inner, err = memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{ip.String()}, BindPort: port, Logger: logger,
		})
		if err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", r.cfg.Bind, err)
	}
	w := newWire(inner, r.cfg.CallTimeout, nil)
	w.port = inner.GetAutoBindPort()
	if err := r.advertise(ctx, w, ip); err != nil {
		_ = w.Shutdown()
		return nil, err
	}
	if r.reach != nil {
		self := w.Addr().String()
		w.reach = func(to string) bool { return r.reach(self, to) }
	}
	return w, nil
}

// advertise finds where others reach the member.
func (r *Registry) advertise(ctx context.Context, w *wire, bound net.IP) error {
	host := r.cfg.Advertise
	if h, port, err := splitAddr(host); err == nil {
		host, w.port = h, port
	}
	switch {
	case host == "" && bound.IsUnspecified():
		w.ip = firstAddress()
	case host == "":
		w.ip = bound
	default:
		ctx, cancel := context.WithTimeout(ctx, r.cfg.CallTimeout)
		defer cancel()
		ips, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
		if err != nil {
			return fmt.Errorf("advertise %s: %w", host, err)
		}
		w.ip = ips[0]
	}
	if v4 := w.ip.To4(); v4 != nil {
		w.ip = v4
	}
	return nil
}

// firstAddress gives the machine's first address that is not loopback.
func firstAddress() net.IP {
	addrs, err := net.InterfaceAddrs()
	if err == nil {
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && n.IP.To4() != nil {
				return n.IP
			}
		}
	}
	return net.IPv4(127, 0, 0, 1)
}

// serfConfig derives Serf's many numbers from the few of the Config.
func (r *Registry) serfConfig(name string, tags map[string]string, logger *log.Logger) *serf.Config {
	cfg := serf.DefaultConfig()
	cfg.NodeName, cfg.Tags, cfg.Logger = name, tags, logger
	cfg.ValidateNodeNames = true
	cfg.DisableCoordinates = true
	// A message has been passed on after a few rounds, unless nobody is left to pass
	// it on to, which is so when all stop together.
	cfg.BroadcastTimeout = min(r.cfg.StopTimeout, 25*r.cfg.GossipInterval)
	// Long enough to answer the probes of those who have not heard of the leave yet.
	cfg.LeavePropagateDelay = 10 * r.cfg.GossipInterval
	cfg.ReconnectInterval = r.cfg.RejoinInterval
	// Who is away for longer is found by the join addresses, not by being looked for.
	cfg.ReconnectTimeout, cfg.TombstoneTimeout = time.Hour, time.Hour
	cfg.MaxQueueDepth = 1024
	if r.cfg.Dir != "" {
		cfg.SnapshotPath = filepath.Join(r.cfg.Dir, membersFile)
		cfg.RejoinAfterLeave = true
	}
	m := cfg.MemberlistConfig
	m.Logger, m.LogOutput = logger, nil
	m.Label, m.SecretKey = r.cfg.Label, r.key
	m.TCPTimeout = r.cfg.CallTimeout
	m.GossipInterval, m.GossipNodes = r.cfg.GossipInterval, 4
	// Each member passes a message on 16 times in a cluster of fifty, to targets
	// chosen at random: that all others miss one of them happens once in ten million.
	m.RetransmitMult = 8
	// What a busy machine drops is made good soon. Serf stretches this for large
	// clusters, to two intervals for fifty members.
	m.PushPullInterval = r.cfg.RejoinInterval
	m.EnableCompression = false
	// A dead member is probed within a few intervals by somebody, and then suspected
	// for 4 to 8 of them times the logarithm of the members.
	m.ProbeInterval, m.ProbeTimeout = r.cfg.TTL/20, r.cfg.TTL/50
	m.SuspicionMult, m.SuspicionMaxTimeoutMult = 4, 2
	return cfg
}
