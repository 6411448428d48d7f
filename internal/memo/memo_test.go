package memo_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/memo"
)

func ExampleMemo() {
	var lengths memo.Memo[int]
	for range 2 {
		n, _ := lengths.Get([]byte("hello"), func(d []byte) (int, error) {
			fmt.Println("reading")
			return len(d), nil
		})
		fmt.Println(n)
	}
	// Output:
	// reading
	// 5
	// 5
}

func TestErrorsAndLongDocumentsAreReadAgain(t *testing.T) {
	var m memo.Memo[int]
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		document string
		err      error
		reads    int
	}{
		"good":           {"a", nil, 1},
		"empty":          {"", nil, 1},
		"wrong":          {"b", broken, 3},
		"longest":        {strings.Repeat("x", 8<<10), nil, 1},
		"longer by one":  {strings.Repeat("x", 8<<10+1), nil, 3},
		"the same again": {"c", nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			reads := 0
			for range 3 {
				n, err := m.Get([]byte(c.document), func(d []byte) (int, error) { reads++; return len(d), c.err })
				require.ErrorIs(t, err, c.err)
				require.Equal(t, len(c.document), n)
			}
			require.Equal(t, c.reads, reads)
		})
	}
}

func TestManyDocumentsAreNotKept(t *testing.T) {
	var m memo.Memo[string]
	reads := 0
	get := func(document string) {
		v, err := m.Get([]byte(document), func(d []byte) (string, error) { reads++; return string(d), nil })
		require.NoError(t, err)
		require.Equal(t, document, v)
	}
	get("first")
	for i := range 64 {
		get(fmt.Sprint(i))
	}
	require.Equal(t, 65, reads)
	get("first")
	require.Equal(t, 66, reads, "the first was forgotten")
}

func TestManyAtOnce(t *testing.T) {
	var m memo.Memo[int]
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 1000 {
				d := []byte(fmt.Sprint((n + i) % 100))
				v, err := m.Get(d, func(d []byte) (int, error) { return len(d), nil })
				if err != nil || v != len(d) {
					t.Errorf("%s: %d, %v", d, v, err)
				}
			}
		})
	}
	wg.Wait()
}
