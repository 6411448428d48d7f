package together_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
	"imagemill/internal/together"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const patience = time.Minute

func Example() {
	g := together.New(10, 1, func(_ context.Context, words []string) []error {
		fmt.Println(words)
		return make([]error, len(words))
	})
	fmt.Println(g.Do(context.Background(), "hello", "world"))
	// Output:
	// [hello world]
	// [<nil> <nil>]
}

// gate is a send whose calls wait until they are let go.
type gate struct {
	calls chan []int
	ctxs  chan context.Context
	open  chan struct{}
}

func newGate() *gate {
	return &gate{calls: make(chan []int, 100), ctxs: make(chan context.Context, 100), open: make(chan struct{})}
}

// send fails odd numbers, each with an error of its own.
func (g *gate) send(ctx context.Context, items []int) []error {
	g.calls <- items
	g.ctxs <- ctx
	select {
	case <-g.open:
	case <-ctx.Done():
	}
	out := make([]error, len(items))
	for i, n := range items {
		if n%2 == 1 {
			out[i] = odd(n)
		}
	}
	return out
}

type odd int

func (o odd) Error() string { return fmt.Sprint(int(o), " is odd") }

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("not reached")
	}
}

func TestWhoComesMeanwhileGoesOutTogether(t *testing.T) {
	gate := newGate()
	g := together.New(4, 1, gate.send)
	var wg sync.WaitGroup
	do := func(items ...int) {
		wg.Go(func() {
			for i, err := range g.Do(t.Context(), items...) {
				if n := items[i]; n%2 == 0 && err != nil || n%2 == 1 && !errors.Is(err, odd(n)) {
					t.Errorf("%d: %v", n, err)
				}
			}
		})
	}
	do(0)
	require.Equal(t, []int{0}, receive(t, gate.calls), "the first waits for nobody")
	for _, items := range [][]int{{1}, {2, 3}, {4, 5}, {6}, {7, 8, 9, 10, 11}} {
		n := g.Waiting()
		do(items...)
		require.Eventually(t, func() bool { return g.Waiting() == n+1 }, patience, time.Millisecond)
	}
	close(gate.open)
	wg.Wait()
	require.Equal(t, []int{1, 2, 3}, receive(t, gate.calls), "no caller's items are torn apart")
	require.Equal(t, []int{4, 5, 6}, receive(t, gate.calls))
	require.Equal(t, []int{7, 8, 9, 10, 11}, receive(t, gate.calls), "too many go alone")
	require.Empty(t, gate.calls)
}

func TestTwoCallsAtOnce(t *testing.T) {
	gate := newGate()
	g := together.New(4, 2, gate.send)
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() { g.Do(t.Context(), 2*n) })
		if n < 2 {
			require.Equal(t, []int{2 * n}, receive(t, gate.calls))
		}
	}
	require.Eventually(t, func() bool { return g.Waiting() == 1 }, patience, time.Millisecond)
	require.Empty(t, gate.calls)
	close(gate.open)
	wg.Wait()
}

type key struct{}

func TestACallEndsWhenAllHaveLeft(t *testing.T) {
	gate := newGate()
	defer close(gate.open)
	g := together.New(4, 1, gate.send)
	outcomes := make(chan []error, 10)
	do := func(n int) context.CancelFunc {
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, n))
		go func() { outcomes <- g.Do(ctx, n) }()
		return cancel
	}
	first := do(0)
	require.Equal(t, []int{0}, receive(t, gate.calls))
	require.Equal(t, 0, receive(t, gate.ctxs).Value(key{}))
	var cancels []context.CancelFunc
	for n := range 3 {
		cancels = append(cancels, do(2*n+2))
		require.Eventually(t, func() bool { return g.Waiting() == n+1 }, patience, time.Millisecond)
	}
	cancels[1]()
	require.ErrorIs(t, receive(t, outcomes)[0], context.Canceled)
	require.Equal(t, 2, g.Waiting(), "who leaves before the call is not part of it")
	first()
	require.ErrorIs(t, receive(t, outcomes)[0], context.Canceled)
	require.Equal(t, []int{2, 6}, receive(t, gate.calls))
	ctx := receive(t, gate.ctxs)
	cancels[0]()
	require.ErrorIs(t, receive(t, outcomes)[0], context.Canceled)
	require.NoError(t, ctx.Err(), "the other still waits")
	cancels[2]()
	require.ErrorIs(t, receive(t, outcomes)[0], context.Canceled)
	receive(t, ctx.Done())
	require.ErrorIs(t, g.Do(ctx, 8)[0], context.Canceled, "nor does it begin")
	require.Empty(t, gate.calls)
}

func TestManyCallers(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]int{}
	g := together.New(8, 2, func(_ context.Context, items []int) []error {
		mu.Lock()
		defer mu.Unlock()
		out := make([]error, len(items))
		for i, n := range items {
			seen[n]++
			out[i] = odd(n)
		}
		return out
	})
	var wg sync.WaitGroup
	for c := range 32 {
		wg.Go(func() {
			for i := range 100 {
				n := c*100 + i
				if err := g.Do(t.Context(), n)[0]; !errors.Is(err, odd(n)) {
					t.Errorf("%d: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, seen, 3200)
	for n, times := range seen {
		require.Equal(t, 1, times, n)
	}
}
