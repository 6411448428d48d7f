package rungroup_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
	"imagemill/internal/rungroup"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func Example() {
	var g rungroup.Group
	for _, name := range []string{"store", "server"} {
		g.Add(name, func(ctx context.Context) error {
			<-ctx.Done()
			fmt.Println("stop", name)
			return nil
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	fmt.Println(g.Run(ctx))
	// Output:
	// stop server
	// stop store
	// <nil>
}

func TestStopsInReverseAndWaitsForEach(t *testing.T) {
	var g rungroup.Group
	var order []int // appended to by one member at a time, or the race detector says so
	for i := range 5 {
		g.Add(fmt.Sprint(i), func(ctx context.Context) error {
			<-ctx.Done()
			order = append(order, i)
			return ctx.Err()
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, g.Run(ctx), "being told to stop is no error")
	require.Equal(t, []int{4, 3, 2, 1, 0}, order)
}

func TestFirstFailureStopsAllAndAllErrorsAreReported(t *testing.T) {
	errA, errB := errors.New("a broke"), errors.New("b broke while stopping")
	var g rungroup.Group
	g.Add("a", func(context.Context) error { return errA })
	g.Add("b", func(ctx context.Context) error { <-ctx.Done(); return errB })
	err := g.Run(t.Context())
	require.ErrorIs(t, err, errA)
	require.ErrorIs(t, err, errB)
	require.ErrorContains(t, err, "b: b broke")
}

func TestAMemberThatEndsStopsTheGroup(t *testing.T) {
	var g rungroup.Group
	g.Add("short", func(context.Context) error { return nil })
	g.Add("long", func(ctx context.Context) error { <-ctx.Done(); return nil })
	require.NoError(t, g.Run(t.Context()))
}

func TestCancelledByOthersIsAnError(t *testing.T) {
	var g rungroup.Group
	g.Add("odd", func(context.Context) error { return context.Canceled })
	require.ErrorIs(t, g.Run(t.Context()), context.Canceled)
}

func TestEmptyGroupEndsAtOnce(t *testing.T) {
	var g rungroup.Group
	require.NoError(t, g.Run(t.Context()))
}
