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

// look joins at those addresses where no live member is.
func (a *agent) look(ctx context.Context) {
	if absent := a.absent(ctx); len(absent) > 0 {
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

// absent are the join addresses where no live member is, this one included; while
// nobody is known, also where others were at the last run. Names are looked up
// each time: what stands behind them may move.
func (a *agent) absent(ctx context.Context) []string {
	there := map[string]bool{}
	for _, m := range alive(a.serf.Members()) {
		there[address(m)] = true
	}
	var out []string
	look := a.join
	if len(there) < 2 {
		a.mu.Lock()
		look = slices.Concat(look, a.peers)
		a.mu.Unlock()
	}
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
