package storagetest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage"
)

// testReplace: readers beside a writer see one version or the next, whole.
func testReplace(t *testing.T, s storage.Store) {
	const versions, size = 40, 200_000
	digests := map[string]bool{}
	for v := range versions {
		digests[Digest(Bytes(size+v, uint64(v)))] = true
	}
	Put(t, s, "a", Bytes(size, 0))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				data, err := Read(t, s, "a", storage.Whole())
				if !assert.NoError(t, err) || !assert.True(t, digests[Digest(data)], "a mixture of versions") {
					return
				}
			}
		})
	}
	for v := range versions {
		Put(t, s, "a", Bytes(size+v, uint64(v)))
	}
	close(done)
	readers.Wait()
	got, err := Read(t, s, "a", storage.Whole())
	require.NoError(t, err)
	require.Len(t, got, size+versions-1, "the last Put holds")
}

// testConcurrent: many blobs at once, and one fought over by Put and Delete.
func testConcurrent(t *testing.T, s storage.Store) {
	var all sync.WaitGroup
	for w := range 16 {
		all.Go(func() {
			for i := range 8 {
				key, data := fmt.Sprintf("shared-%02d-%d", w, i), Bytes(1000*w+i, uint64(w))
				info, err := s.Put(t.Context(), ref(key), bytes.NewReader(data), storage.PutOptions{Size: int64(len(data))})
				if !assert.NoError(t, err) || !assert.Equal(t, Digest(data), info.SHA256) {
					return
				}
				got, err := Read(t, s, key, storage.Whole())
				assert.NoError(t, err)
				assert.Equal(t, Digest(data), Digest(got))
				_, err = s.Put(t.Context(), ref("fought"), bytes.NewReader(data), storage.PutOptions{Size: -1})
				assert.NoError(t, err)
				if i%3 == 0 {
					assert.NoError(t, s.Delete(t.Context(), ref("fought")))
				}
				if _, err := Read(t, s, "fought", storage.Whole()); err != nil {
					assert.Equal(t, fault.NotFound, fault.KindOf(err))
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, s.Delete(t.Context(), ref("fought")))
	require.Len(t, listAll(t, s, 50), 16*8)
}
