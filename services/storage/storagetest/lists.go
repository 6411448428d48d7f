package storagetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage"
)

func testList(t *testing.T, s storage.Store) {
	page, err := s.List(t.Context(), storage.InProgress, "", 0)
	require.NoError(t, err)
	require.Empty(t, page.Blobs)
	require.Empty(t, page.Next)

	began := time.Now()
	var want []string
	for i := range 25 {
		want = append(want, fmt.Sprintf("%02d", i))
		Put(t, s, want[i], Bytes(i, 0))
	}
	for _, limit := range []int{1, 7, 24, 25, 26, storage.MaxPage} {
		require.Equal(t, want, listAll(t, s, limit), "pages of %d", limit)
	}
	page, err = s.List(t.Context(), storage.InProgress, "", 25)
	require.NoError(t, err)
	require.Empty(t, page.Next, "the last page, though full, has no next")
	require.EqualValues(t, 7, page.Blobs[7].Size)
	require.False(t, page.Blobs[7].Modified.IsZero())
	age := page.Now.Sub(page.Blobs[7].Modified) // by the store's own clock
	require.True(t, age > -time.Second && age < time.Since(began)+2*time.Second, age)
	page, err = s.List(t.Context(), storage.InProgress, "07x", 2)
	require.NoError(t, err)
	require.Equal(t, []string{"08", "09"}, keysOf(page), "the cursor need not exist")
	page, err = s.List(t.Context(), storage.InProgress, "24", 2)
	require.NoError(t, err)
	require.Empty(t, page.Blobs)
	page, err = s.List(t.Context(), storage.Finished, "", 2)
	require.NoError(t, err)
	require.Empty(t, page.Blobs, "the other state")
}

// testListOrder: keys come in the order of their bytes, however a backend
// spreads them.
func testListOrder(t *testing.T, s storage.Store) {
	keys := []string{
		"abcdef", "abcdef-1", "abcdef.x", "abcdef0", "abcdef_", "abcdefg", "abcdefg-", "abcdefg.a", "abcdefga", "abcde",
		"abc.de.x", "abc.de0", "abc-de", "b", "b.0", "b-0", "b00000000",
	}
	for range 20 {
		id, err := uuid.NewV7()
		require.NoError(t, err)
		keys = append(keys, id.String(), id.String()+".1", id.String()+"-thumb")
	}
	for _, key := range keys {
		Put(t, s, key, nil)
	}
	slices.Sort(keys)
	for _, limit := range []int{1, 3, 100} {
		require.Equal(t, keys, listAll(t, s, limit))
	}
	require.NoError(t, s.Delete(t.Context(), ref(keys[3])))
	require.Equal(t, slices.Delete(slices.Clone(keys), 3, 4), listAll(t, s, 2))
}

func listAll(t *testing.T, s storage.Store, limit int) (keys []string) {
	t.Helper()
	for after := ""; ; {
		page, err := s.List(t.Context(), storage.InProgress, after, limit)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Blobs), limit)
		keys = append(keys, keysOf(page)...)
		if page.Next == "" {
			return keys
		}
		require.Greater(t, page.Next, after, "a cursor goes forwards")
		after = page.Next
	}
}

func keysOf(page storage.Page) (keys []string) {
	for _, b := range page.Blobs {
		keys = append(keys, b.Key)
	}
	return keys
}

func testBadLists(t *testing.T, s storage.Store) {
	for _, c := range []struct {
		state storage.State
		after string
		limit int
		field string
	}{
		{"", "", 0, "state"}, {"tmp", "", 0, "state"}, {storage.Finished, "../x", 0, "after"}, {storage.Finished, "A", 0, "after"},
		{storage.Finished, "", -1, "limit"}, {storage.Finished, "", storage.MaxPage + 1, "limit"},
	} {
		_, err := s.List(t.Context(), c.state, c.after, c.limit)
		requireKind(t, fault.Invalid, err, c)
		require.Equal(t, c.field, fault.As(err).Field)
	}
}
