package discoverytest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"imagemill/pkg/discovery"
)

func forgotten(t *testing.T, r *rig) {
	if r.Forget == nil {
		t.Skip("this registry does not forget")
	}
	r.announce(t, r.reg, instance("store", 1))
	sets := r.watch(t, r.Open(t), "store")
	r.see(t, sets, "store-01")
	for range 3 {
		r.Forget(t)
		r.see(t, r.watch(t, r.Open(t), "store"), "store-01")
	}
}

func outage(t *testing.T, r *rig) {
	if r.Outage == nil {
		t.Skip("this registry is always there")
	}
	end := r.announce(t, r.reg, instance("store", 1))
	sets := r.watch(t, r.reg, "store")
	r.see(t, sets, "store-01")
	restore := r.Outage(t)
	announced, _ := r.begin(t, r.reg, instance("store", 2))
	restore()
	r.await(t, announced, "the instance to be announced after the outage")
	// Neither an empty set nor the old one again was delivered for the outage.
	assert.Equal(t, []string{"store-01", "store-02"}, ids(r.next(t, sets)))
	end()
	r.see(t, sets, "store-02")
}

func announcedInOutage(t *testing.T, r *rig) {
	if r.Outage == nil {
		t.Skip("this registry is always there")
	}
	sets := r.watch(t, r.reg, "store")
	r.see(t, sets)
	restore := r.Outage(t)
	announced, _ := r.begin(t, r.reg, instance("store", 1))
	select {
	case <-announced:
		assert.Fail(t, "announced in a registry that is away")
	default:
	}
	restore()
	r.see(t, sets, "store-01")
	r.await(t, announced, "announced to be called")
}

func withdrawnInOutage(t *testing.T, r *rig) {
	if r.Outage == nil {
		t.Skip("this registry is always there")
	}
	reg := r.reg
	if r.Brief != nil {
		reg = r.Brief(t)
	}
	end := r.announce(t, reg, instance("store", 1))
	restore := r.Outage(t)
	end()
	restore()
	// Nobody renews it, so it goes by itself.
	r.see(t, r.watch(t, r.reg, "store"))
}

func watchedInOutage(t *testing.T, r *rig) {
	if r.Outage == nil {
		t.Skip("this registry is always there")
	}
	r.announce(t, r.reg, instance("store", 1))
	restore := r.Outage(t)
	sets := r.watch(t, r.reg, "store")
	ctx, cancel := context.WithCancel(context.Background())
	ending := r.reg.Watch(ctx, "store")
	cancel()
	r.drain(t, ending)
	select {
	case set := <-sets:
		assert.Fail(t, "a set without an answer", "%v", set)
	default:
	}
	restore()
	r.see(t, sets, "store-01")
}

func spoiled(t *testing.T, r *rig) {
	if r.Spoil == nil {
		t.Skip("this registry cannot be spoiled")
	}
	sets := r.watch(t, r.reg, "store")
	r.see(t, sets)
	r.Spoil(t, "store")
	r.announce(t, r.reg, instance("store", 1))
	r.see(t, sets, "store-01")
}

// RunFixed tests a registry with addresses that are given beforehand. start makes
// one of URLs by service.
func RunFixed(t *testing.T, start func(t *testing.T, fixed map[string][]string) discovery.Registry) {
	t.Helper()
	const a, b = "http://127.0.0.1:1", "http://127.0.0.1:2"
	open := func(t *testing.T) *rig {
		reg := start(t, map[string][]string{"store": {b, a}, "worker": {a}})
		return &rig{Harness: Harness{Open: func(*testing.T) discovery.Registry { return reg }, Within: time.Minute}, reg: reg}
	}
	t.Run("an empty set is a set", func(t *testing.T) { emptySet(t, open(t)) })
	t.Run("an invalid instance is an error at once", func(t *testing.T) { invalid(t, open(t)) })
	t.Run("the channel closes with the context", func(t *testing.T) {
		r := open(t)
		ctx, cancel := context.WithCancel(context.Background())
		sets := r.reg.Watch(ctx, "store")
		cancel()
		r.drain(t, sets)
	})
	t.Run("sets are whole, sorted and the receiver's own", func(t *testing.T) {
		r := open(t)
		set := r.next(t, r.watch(t, r.reg, "store"))
		assert.Len(t, set, 2)
		assert.Less(t, set[0].ID, set[1].ID)
		assert.ElementsMatch(t, []string{a, b}, []string{set[0].URL, set[1].URL})
		set[0].URL = "spoiled"
		assert.NotEqual(t, "spoiled", r.next(t, r.watch(t, r.reg, "store"))[0].URL)
		assert.Len(t, r.next(t, r.watch(t, r.reg, "")), 3)
	})
	t.Run("announcing blocks until the context is done", func(t *testing.T) {
		r := open(t)
		r.announce(t, r.reg, instance("store", 1))()
	})
}
