package consul

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"

	"imagemill/pkg/discovery"
)

// Catalog is how instances appear in the service catalogue of a Consul agent,
// beside the keys that the package itself goes by: for Consul's DNS, its web page,
// Prometheus, and whoever else reads the catalogue. The address must then be that
// of an agent; what has Consul's KV API only refuses it, which is logged.
type Catalog struct {
	// Prefix goes before the service's name, so that "worker" is not taken for
	// somebody else's.
	Prefix string
	// Tags are added to each entry's own: scheme, version and the instance's tags.
	Tags []string
	// Reap is how long an entry stays after its instance died, beyond its TTL. Zero
	// is a minute, and no Consul takes less.
	Reap time.Duration
}

// What Consul takes as metadata of a service.
const (
	maxMetaPairs = 64
	maxMetaKey   = 128
	maxMetaValue = 512
)

var metaKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// entry is one instance in the catalogue.
type entry struct {
	*Registry
	reg     *api.AgentServiceRegistration
	log     *slog.Logger
	there   bool   // as far as is known
	trouble string // the last that was logged
}

func (r *Registry) newEntry(in discovery.Instance, log *slog.Logger) (*entry, error) {
	reg, err := r.registration(in)
	if err != nil {
		return nil, fmt.Errorf("catalogue entry of %s: %w", in.ID, err)
	}
	return &entry{Registry: r, reg: reg, log: log}, nil
}

// registration is what the agent is told of an instance. What Consul would refuse
// of the tags is left out of the metadata, and stands among the tags only.
func (r *Registry) registration(in discovery.Instance) (*api.AgentServiceRegistration, error) {
	u, err := url.Parse(in.URL)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		port = map[string]int{"http": 80, "https": 443}[u.Scheme]
	}
	c := r.cfg.Catalog
	meta := map[string]string{"version": in.Version, "url": in.URL, "started": in.Started.UTC().Format(time.RFC3339)}
	tags := append(slices.Clone(c.Tags), u.Scheme, "version="+in.Version)
	for _, key := range slices.Sorted(maps.Keys(in.Tags)) {
		tags = append(tags, key+"="+in.Tags[key])
		_, taken := meta[key]
		if !taken && len(key) <= maxMetaKey && metaKey.MatchString(key) && len(in.Tags[key]) <= maxMetaValue && len(meta) < maxMetaPairs {
			meta[key] = in.Tags[key]
		}
	}
	return &api.AgentServiceRegistration{
		ID: in.ID, Name: c.Prefix + in.Service, Address: u.Hostname(), Port: port, Tags: tags, Meta: meta,
		Check: &api.AgentServiceCheck{
			CheckID: "announced:" + in.ID, Name: "announced", Notes: "renewed by the instance itself",
			TTL: r.cfg.TTL.String(), Status: api.HealthPassing, DeregisterCriticalServiceAfter: max(c.Reap, time.Minute).String(),
		},
	}, nil
}

// keep renews the entry until ctx is done, and makes it anew where the agent has
// forgotten it; then it takes it out.
func (e *entry) keep(ctx context.Context) {
	defer e.withdraw(context.WithoutCancel(ctx))
	retry := e.newBackoff()
	for ctx.Err() == nil {
		wait := e.cfg.TTL / 3
		if err := e.turn(ctx); err == nil {
			retry.reset()
			e.trouble = ""
		} else if ctx.Err() == nil {
			wait = min(wait, retry.next())
			if e.trouble != err.Error() {
				e.trouble = err.Error()
				e.log.Warn("not in the catalogue, trying on", "error", err)
			}
		}
		pause(ctx, wait)
	}
}

// turn says that the instance is well. If that fails, the agent may have been
// started anew, or another agent be asked: telling it all again does no harm.
func (e *entry) turn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.callTime())
	defer cancel()
	if e.there {
		err := e.api.Agent().UpdateTTLOpts(e.reg.Check.CheckID, "", api.HealthPassing, (&api.QueryOptions{}).WithContext(ctx))
		if err == nil {
			return nil
		}
		e.there = false
		e.log.Warn("the catalogue does not know the instance, entering it again", "error", err)
	}
	err := e.api.Agent().ServiceRegisterOpts(e.reg, api.ServiceRegisterOpts{}.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("register service %s: %w", e.reg.ID, err)
	}
	e.there = true
	e.log.Info("entered in the catalogue", "name", e.reg.Name)
	return nil
}

// withdraw takes the entry out, also where it is not known whether it is in.
func (e *entry) withdraw(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.StopTimeout)
	defer cancel()
	err := e.api.Agent().ServiceDeregisterOpts(e.reg.ID, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil && e.there {
		e.log.Warn("removal from the catalogue failed, the entry stays until it is reaped", "error", err)
	}
}
