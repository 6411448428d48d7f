package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
)

// The services may be started in any order, without waiting for each other.
func TestStartOrder(t *testing.T) {
	suite(t) // skips
	all := e2e.Services()
	for i := range all {
		for _, natsFirst := range []bool{true, false} {
			order := append(append([]string{}, all[i:]...), all[:i]...)
			if natsFirst {
				order = append([]string{"nats"}, order...)
			} else {
				order = append(order, "nats")
			}
			t.Run(fmt.Sprint(order), func(t *testing.T) { startInOrder(t, order) })
		}
	}
}

func startInOrder(t *testing.T, order []string) {
	p := calmSuite(t)
	began := time.Now()
	for _, s := range order {
		p.StartService(s, 1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	require.NoError(t, newUser(t, p, 0, 3000, 50*time.Millisecond).whole(ctx, 7, picture(t, 7)))
	t.Logf("first result %s after the first start", time.Since(began).Round(time.Millisecond))
	p.Ready(1)
	for _, name := range p.Names("") {
		require.False(t, p.Get(name).Exited(), "%s gave up", name)
	}
}
