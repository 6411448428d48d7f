package gossip

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"
)

// rejoin looks for members at the join addresses: often while it knows nobody,
// else seldom, in case the network was parted for so long that Serf has given up
// the others.
func (a *agent) rejoin(ctx context.Context) {
	for ctx.Err() == nil {
		a.look(ctx)
		wait := a.cfg.RejoinInterval
		if len(a.others()) > 0 {
			wait *= 10
		}
		pause(ctx, wait-rand.N(wait/5+1))
	}
}

// joinPatience is how long nobody may answer before that is said: all may be
// starting at the same time.
const joinPatience = 3 * time.Second

// lookingBack is how often a member that knows others looks where more of them were
// at the last run, five minutes in all by default: after a restart of all, those who
// found each other in pairs become one.
const lookingBack = 30

// look joins at those addresses where no live member is.
func (a *agent) look(ctx context.Context) {
	there := a.there()
	known := len(there) > 1
	if absent := a.absent(ctx, there, a.sought(known)); len(absent) > 0 {
		_, err := a.serf.Join(absent, false)
		switch {
		case err == nil || ctx.Err() != nil:
			a.missed = time.Time{}
		case a.missed.IsZero():
			a.missed = time.Now()
		case time.Since(a.missed) > joinPatience:
			a.rare.warn("join", "no member answers at the join addresses", "addresses", strings.Join(absent, ","),
				"error", strings.Join(strings.Fields(err.Error()), " ")) // which is a list, in lines
		}
	}
	if known && a.back < lookingBack {
		a.back++
		if absent := a.absent(ctx, there, a.sought(false)); len(absent) > 0 {
			_, _ = a.serf.Join(absent, false) // they may be gone for good
		}
	}
	a.mu.Lock()
	first := !a.joined
	a.joined = true
	a.mu.Unlock()
	if !first {
		return
	}
	signal(a.dirty)
	signal(a.ask)
}

// there are the addresses of the live members, this one included.
func (a *agent) there() map[string]bool {
	there := map[string]bool{}
	for _, m := range alive(a.serf.Members()) {
		there[address(m)] = true
	}
	return there
}

// sought are the join addresses and, where nobody is known, those where others were
// at the last run.
func (a *agent) sought(known bool) []string {
	if known {
		return a.join
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Concat(a.join, a.peers)
}

// absent are those of the addresses where no live member is, this one included, and
// are then taken for there. Names are looked up each time: what stands behind them may
// move.
func (a *agent) absent(ctx context.Context, there map[string]bool, look []string) (out []string) {
	for _, addr := range look {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, a.cfg.CallTimeout)
		ips, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
		cancel()
		if err != nil {
			a.rare.warn("resolve "+host, "a join address cannot be resolved", "address", addr, "error", err)
			continue
		}
		for _, ip := range ips {
			if at := net.JoinHostPort(ip.String(), port); !there[at] {
				there[at] = true
				out = append(out, at)
			}
		}
	}
	return out
}
