//go:build unix

package consul_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/consul"
	"imagemill/pkg/discovery/discoverytest"
)

// of makes a handle of a real Consul.
func (a *agent) of(t *testing.T, deps consul.Deps, change ...func(*consul.Config)) *consul.Registry {
	t.Helper()
	cfg := consul.Config{
		Address: "http://" + a.http, TTL: time.Second, Wait: 5 * time.Second, CallTimeout: time.Second, StopTimeout: time.Minute,
		BackoffMin: 5 * time.Millisecond, BackoffMax: 50 * time.Millisecond, Rate: 1000,
	}
	for _, c := range change {
		c(&cfg)
	}
	reg, err := consul.New(cfg, deps)
	require.NoError(t, err)
	t.Cleanup(reg.Close)
	return reg
}

func cataloged(c *consul.Config) {
	c.Catalog = &consul.Catalog{Prefix: "mill-", Tags: []string{"blue"}}
}

// The behaviour that every registry owes, over a real Consul that is stopped for
// an outage: connections stay, and nothing is answered.
func TestRealRegistryThatIsStopped(t *testing.T) {
	a := startAgent(t, "", "")
	suites := 0
	discoverytest.Run(t, func(t *testing.T) discoverytest.Harness {
		suites++
		prefix := fmt.Sprint("suite-", suites)
		return discoverytest.Harness{
			Open: func(t *testing.T) discovery.Registry {
				return a.of(t, consul.Deps{}, rarely, func(c *consul.Config) { c.Prefix = prefix })
			},
			Brief: func(t *testing.T) discovery.Registry {
				return a.of(t, consul.Deps{}, func(c *consul.Config) { c.Prefix, c.StopTimeout = prefix, time.Second })
			},
			Forget: a.forget,
			Outage: func(t *testing.T) func() {
				require.NoError(t, a.cmd.Process.Signal(syscall.SIGSTOP))
				// Until it stands still it might answer.
				_, err := syscall.Wait4(a.cmd.Process.Pid, nil, syscall.WUNTRACED, nil)
				require.NoError(t, err)
				return func() { require.NoError(t, a.cmd.Process.Signal(syscall.SIGCONT)) }
			},
			Spoil: func(t *testing.T, service string) {
				_, err := a.client.KV().Put(&api.KVPair{Key: prefix + "/" + service + "/junk", Value: []byte("{")}, nil)
				require.NoError(t, err)
			},
		}
	})
}

// forget ends all sessions by hand.
func (a *agent) forget(t *testing.T) {
	sessions, _, err := a.client.Session().List(nil)
	require.NoError(t, err)
	for _, s := range sessions {
		_, err := a.client.Session().Destroy(s.ID, nil)
		require.NoError(t, err)
	}
}

// healthy is what the catalogue says is well.
func (a *agent) healthy() []*api.ServiceEntry {
	entries, _, err := a.client.Health().Service("mill-store", "blue", true, nil)
	assert.NoError(a.t, err)
	return entries
}

func (a *agent) awaitHealthy(n int) []*api.ServiceEntry {
	a.t.Helper()
	var entries []*api.ServiceEntry
	require.Eventually(a.t, func() bool { entries = a.healthy(); return len(entries) == n }, time.Minute, 5*time.Millisecond)
	return entries
}

func TestRealCatalogShowsInstances(t *testing.T) {
	a := startAgent(t, "", "")
	ctx, cancel := context.WithCancel(t.Context())
	reg, done := a.of(t, consul.Deps{}, cataloged), make(chan struct{})
	go func() {
		defer close(done)
		assert.NoError(t, reg.Announce(ctx, discovery.Instance{
			ID: "store-1", Service: "store", URL: "http://127.0.0.1:8301", Version: "0.1.0+abc",
			Started: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Tags: map[string]string{"zone": "a", "not fit": "b"},
		}, nil))
	}()
	got := a.awaitHealthy(1)[0]
	assert.Equal(t, "127.0.0.1", got.Service.Address)
	assert.Equal(t, 8301, got.Service.Port)
	assert.Equal(t, []string{"blue", "http", "version=0.1.0+abc", "not fit=b", "zone=a"}, got.Service.Tags)
	assert.Equal(t, map[string]string{
		"version": "0.1.0+abc", "url": "http://127.0.0.1:8301", "started": "2030-01-02T03:04:05Z", "zone": "a",
	}, got.Service.Meta)

	dns := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, a.dns)
	}}
	// Who was too busy for a second to renew its entry is critical for a moment.
	var records []*net.SRV
	require.Eventually(t, func() bool {
		var err error
		_, records, err = dns.LookupSRV(t.Context(), "", "", "mill-store.service.consul.")
		return err == nil && len(records) == 1
	}, time.Minute, 50*time.Millisecond)
	assert.EqualValues(t, 8301, records[0].Port)
	require.Eventually(t, func() bool {
		hosts, err := dns.LookupHost(t.Context(), "mill-store.service.consul.")
		return err == nil && slices.Equal(hosts, []string{"127.0.0.1"})
	}, time.Minute, 50*time.Millisecond)

	renewed := func() uint64 { return checkIndex(t, a) }
	before := renewed()
	require.NoError(t, a.client.Agent().ServiceDeregister("store-1"))
	a.awaitHealthy(1) // told again
	require.NotEqual(t, before, renewed())
	a.stop()
	a.start()
	a.awaitHealthy(1) // a Consul that began with nothing

	cancel()
	<-done
	entries, _, err := a.client.Catalog().Service("mill-store", "", nil)
	require.NoError(t, err)
	assert.Empty(t, entries, "it is out when Announce returns")
}

// checkIndex is when the instance's check was made.
func checkIndex(t *testing.T, a *agent) uint64 {
	t.Helper()
	checks, _, err := a.client.Health().Checks("mill-store", nil)
	require.NoError(t, err)
	if len(checks) == 0 {
		return 0
	}
	return checks[0].CreateIndex
}

// switched is a carrier that can be cut, as if its process had been killed.
type switched struct {
	http.Transport
	off     atomic.Bool
	refused atomic.Int64 // 403s that came back
}

func (s *switched) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.off.Load() {
		return nil, errors.New("switched off")
	}
	resp, err := s.Transport.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusForbidden {
		s.refused.Add(1)
	}
	return resp, err
}

// A killed instance is critical in the catalogue, and out of the registry, when its
// TTL is over.
func TestRealCatalogNoticesTheDead(t *testing.T) {
	a := startAgent(t, "", "")
	carrier := &switched{}
	announce(t, t.Context(), a.of(t, consul.Deps{HTTPClient: &http.Client{Transport: carrier}}, cataloged))
	sets := a.of(t, consul.Deps{}).Watch(t.Context(), "store")
	sizes(t, sets, 1)
	a.awaitHealthy(1)
	carrier.off.Store(true)
	a.awaitHealthy(0)
	sizes(t, sets, 0)
	entries, _, err := a.client.Health().Service("mill-store", "", false, nil)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, api.HealthCritical, entries[0].Checks.AggregatedStatus())
	checks, err := a.client.Agent().Checks()
	require.NoError(t, err)
	assert.Equal(t, "announced", checks["announced:a"].Name)
	carrier.off.Store(false)
	a.awaitHealthy(1)
	sizes(t, sets, 1)
}

func TestRealRegistryStartedAnewIsAnnouncedInAtOnce(t *testing.T) {
	a := startAgent(t, "", "")
	announce(t, t.Context(), a.of(t, consul.Deps{}, rarely))
	for range 2 {
		a.stop()
		a.start()
		held := func() bool {
			pair, _, err := a.client.KV().Get("services/store/a", nil)
			return err == nil && pair != nil && pair.Session != ""
		}
		// The next renewal is twenty minutes away. A watch may not see a key go that is
		// back in a moment: the registry itself is asked.
		require.Eventually(t, held, time.Minute, 5*time.Millisecond)
		_, err := a.client.KV().Delete("services/store/a", nil)
		require.NoError(t, err)
		require.Eventually(t, held, time.Minute, 5*time.Millisecond)
		a.forget(t)
		require.Eventually(t, held, time.Minute, 5*time.Millisecond)
	}
}

// The rules that the package comment names are enough, and nothing works without.
func TestRealAccessControl(t *testing.T) {
	const root = "7a1bb1f6-6e1d-4a7e-9d3f-3c2f4f3c5a10"
	a := startAgent(t, `acl { enabled = true default_policy = "deny" tokens { initial_management = `+strconv.Quote(root)+` agent = `+strconv.Quote(root)+` } }`, root)
	var policy *api.ACLPolicy
	var token *api.ACLToken
	require.Eventually(t, func() bool {
		var err error
		if policy == nil {
			policy, _, err = a.client.ACL().PolicyCreate(&api.ACLPolicy{Name: "mill", Rules: `
			key_prefix "services/" { policy = "write" }
			session_prefix "" { policy = "write" }
			service_prefix "" { policy = "write" }`}, nil)
		}
		if err != nil {
			policy = nil
			return false
		}
		token, _, err = a.client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
		return err == nil
	}, time.Minute, 50*time.Millisecond)

	ctx, cancel := context.WithCancel(t.Context())
	refused, without := make(chan struct{}), &switched{}
	go func() {
		defer close(refused)
		assert.NoError(t, a.of(t, consul.Deps{HTTPClient: &http.Client{Transport: without}}, cataloged).Announce(ctx, store, func() { assert.Fail(t, "announced without a token") }))
	}()
	with := func(c *consul.Config) { c.Token, c.Datacenter = token.SecretID, "dc1" }
	announce(t, t.Context(), a.of(t, consul.Deps{}, cataloged, with))
	sizes(t, a.of(t, consul.Deps{}, with).Watch(t.Context(), "store"), 1)
	a.awaitHealthy(1)
	require.Eventually(t, func() bool { return without.refused.Load() > 4 }, time.Minute, time.Millisecond, "it goes on trying")
	cancel()
	<-refused
}
