package enginetest

import (
	"image/color"
	"testing"

	"github.com/stretchr/testify/require"
)

// Pairs of the table that the formula's paper gives to test implementations by.
func TestDeltaE(t *testing.T) {
	for _, c := range []struct {
		p, q lab
		want float64
	}{
		{lab{50, 2.6772, -79.7751}, lab{50, 0, -82.7485}, 2.0425},
		{lab{50, -1.3802, -84.2814}, lab{50, 0, -82.7485}, 1.0000},
		{lab{50, 0, 0}, lab{50, -1, 2}, 2.3669},
		{lab{50, 2.4900, -0.0010}, lab{50, -2.4900, 0.0009}, 7.1792},
		{lab{50, 2.4900, -0.0010}, lab{50, -2.4900, 0.0011}, 7.2195},
		{lab{50, 2.5, 0}, lab{73, 25, -18}, 27.1492},
		{lab{60.2574, -34.0099, 36.2677}, lab{60.4626, -34.1751, 39.4387}, 1.2644},
		{lab{22.7233, 20.0904, -46.6940}, lab{23.0331, 14.9730, -42.5619}, 2.0373},
		{lab{6.7747, -0.2908, -2.4247}, lab{5.8714, -0.0985, -2.2286}, 0.6377},
		{lab{2.0776, 0.0795, -1.1350}, lab{0.9033, -0.0636, -0.5514}, 0.9082},
	} {
		require.InDelta(t, c.want, deltaE(c.p, c.q), 0.00006, "%v %v", c.p, c.q)
		require.InDelta(t, c.want, deltaE(c.q, c.p), 0.00006, "%v %v", c.q, c.p)
	}
	white := labOf(color.NRGBA{R: 255, G: 255, B: 255})
	require.InDelta(t, 100, white.l, 0.01)
	require.InDelta(t, 0, white.a, 0.01)
	require.InDelta(t, 53.24, labOf(color.NRGBA{R: 255}).l, 0.01)
}
