package enginetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine"
)

// A mutation that was found to do harm can be made again.
func TestMutationsAreRepeatable(t *testing.T) {
	c := newCorpus(t, nil, engine.Abilities{})
	differ := 0
	for n := range uint64(300) {
		a, b := c.mutation(1, n), c.mutation(1, n)
		require.Equal(t, a, b)
		if string(c.mutation(2, n).bytes) != string(a.bytes) {
			differ++
		}
	}
	require.Greater(t, differ, 290)
}
