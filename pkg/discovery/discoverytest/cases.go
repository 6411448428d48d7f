package discoverytest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
)

func emptySet(t *testing.T, r *rig) {
	set := r.next(t, r.watch(t, r.reg, "nobody"))
	assert.Empty(t, set)
	assert.NotNil(t, set)
}

func visible(t *testing.T, r *rig) {
	sets := r.watch(t, r.Open(t), "store")
	r.see(t, sets)
	r.announce(t, r.reg, instance("store", 1))
	r.see(t, sets, "store-01")
	r.see(t, r.watch(t, r.Open(t), "store"), "store-01")
}

func faithful(t *testing.T, r *rig) {
	in := instance("store", 1)
	r.announce(t, r.reg, in)
	got := r.see(t, r.watch(t, r.Open(t), "store"), in.ID)
	assert.True(t, in.Equal(got[0]), "announced %+v, seen %+v", in, got[0])
}

func withdraws(t *testing.T, r *rig) {
	sets := r.watch(t, r.Open(t), "store")
	end := r.announce(t, r.reg, instance("store", 1))
	r.announce(t, r.reg, instance("store", 2))
	r.see(t, sets, "store-01", "store-02")
	end()
	r.see(t, sets, "store-02")
	r.see(t, r.watch(t, r.reg, "store"), "store-02")
}

func wholeSets(t *testing.T, r *rig) {
	sets := r.watch(t, r.reg, "store")
	for _, n := range []int{3, 1, 4, 2} {
		r.announce(t, r.Open(t), instance("store", n))
	}
	r.see(t, sets, "store-01", "store-02", "store-03", "store-04")
}

func servicesApart(t *testing.T, r *rig) {
	r.announce(t, r.reg, instance("store", 1))
	r.announce(t, r.reg, instance("store-2", 1))
	r.announce(t, r.reg, instance("sto", 1))
	assert.Equal(t, []string{"store-01"}, ids(r.see(t, r.watch(t, r.reg, "store"), "store-01")))
	r.see(t, r.watch(t, r.reg, "sto"), "sto-01")
}

func allServices(t *testing.T, r *rig) {
	sets := r.watch(t, r.reg, "")
	r.see(t, sets)
	r.announce(t, r.reg, instance("worker", 1))
	end := r.announce(t, r.reg, instance("store", 1))
	r.see(t, sets, "store-01", "worker-01")
	end()
	r.see(t, sets, "worker-01")
}

func ownSets(t *testing.T, r *rig) {
	r.announce(t, r.reg, instance("store", 1))
	first, second := r.watch(t, r.reg, "store"), r.watch(t, r.reg, "store")
	mine := r.see(t, first, "store-01")
	mine[0].Tags["zone"] = "spoiled"
	mine[0].ID = "spoiled"
	theirs := r.see(t, second, "store-01")
	assert.Equal(t, "a", theirs[0].Tags["zone"])
	later := r.see(t, r.watch(t, r.reg, "store"), "store-01")
	assert.Equal(t, "a", later[0].Tags["zone"])
}

func slowReader(t *testing.T, r *rig) {
	slow, quick := r.watch(t, r.reg, "store"), r.watch(t, r.reg, "store")
	want := []string{}
	for n := range 10 {
		in := instance("store", n)
		r.announce(t, r.reg, in)
		want = append(want, in.ID)
	}
	r.see(t, quick, want...)
	// At most a few sets are on their way to the slow one, not the ten there were.
	for range 3 {
		if set := r.next(t, slow); len(set) == len(want) {
			return
		}
	}
	assert.Fail(t, "the slow reader was given stale sets")
}

func closes(t *testing.T, r *rig) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	read, unread := r.reg.Watch(ctx, "store"), r.reg.Watch(ctx, "store")
	r.see(t, read)
	cancel()
	r.drain(t, read)
	r.drain(t, unread)
	r.drain(t, r.reg.Watch(ctx, "store"))
}

func invalid(t *testing.T, r *rig) {
	for name, spoil := range map[string]func(*discovery.Instance){
		"no id":        func(in *discovery.Instance) { in.ID = "" },
		"id as path":   func(in *discovery.Instance) { in.ID = "../x" },
		"no service":   func(in *discovery.Instance) { in.Service = "" },
		"loud service": func(in *discovery.Instance) { in.Service = "Store" },
		"no url":       func(in *discovery.Instance) { in.URL = "" },
		"no scheme":    func(in *discovery.Instance) { in.URL = "127.0.0.1:80" },
		"ftp":          func(in *discovery.Instance) { in.URL = "ftp://127.0.0.1:80" },
		"a path":       func(in *discovery.Instance) { in.URL = "http://127.0.0.1:80/x" },
	} {
		in := instance("store", 1)
		spoil(&in)
		err := r.reg.Announce(t.Context(), in, func() { assert.Fail(t, "announced", name) })
		assert.ErrorIs(t, err, discovery.ErrInvalidInstance, name)
	}
}

func doneContext(t *testing.T, r *rig) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, r.reg.Announce(ctx, instance("store", 1), nil))
	assert.Empty(t, r.next(t, r.watch(t, r.reg, "store")))
}
