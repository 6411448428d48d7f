package sandbox

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLacksNamesWhatIsEssential(t *testing.T) {
	all := without(Features()[0], "no")
	assert.Equal(t, "memory (no), limits (no), no_new_privs (no), landlock (no), seccomp (no)", Lacks(all))
	assert.Len(t, Missing(all), len(Features()))
	assert.Equal(t, "memory, limits, no_new_privs, landlock, seccomp", Lacks(nil), "what is not reported is not in force")
	for i := range all {
		all[i].Active = all[i].Feature != LandlockNet && all[i].Feature != OOMFirst
	}
	assert.Empty(t, Lacks(all))
	assert.Len(t, Missing(all), 2)
}

func ExampleLacks() {
	// What a child of a worker has reported about itself.
	states := []State{
		{Feature: Memory, Active: true}, {Feature: Limits, Active: true}, {Feature: NoNewPrivs, Active: true},
		{Feature: Landlock, Detail: "not in this kernel"}, {Feature: Seccomp, Active: true},
	}
	fmt.Println(Lacks(states))
	// Output: landlock (not in this kernel)
}
