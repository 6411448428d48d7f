// Package storagetest is the behaviour that every storage.Store has: memory,
// each backend, and the client over HTTP run the same cases. What durability
// and damage ask for beyond, a backend tests itself.
package storagetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage"
)

// Run tries every promise of the contract on empty stores that open gives.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s storage.Store)
	}{
		{"RoundTrip", testRoundTrip},
		{"StatesApart", testStatesApart},
		{"Announced", testAnnounced},
		{"Mismatch", testMismatch},
		{"FailingReader", testFailingReader},
		{"OddReaders", testOddReaders},
		{"Cancelled", testCancelled},
		{"Missing", testMissing},
		{"Delete", testDelete},
		{"Spans", testSpans},
		{"Unchecked", testUnchecked},
		{"EmptyBlobSpans", testEmptySpans},
		{"HostileRefs", testHostileRefs},
		{"GoodKeys", testGoodKeys},
		{"BadOptions", testBadOptions},
		{"List", testList},
		{"ListOrder", testListOrder},
		{"BadLists", testBadLists},
		{"ReplaceIsAtomic", testReplace},
		{"Concurrent", testConcurrent},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// Bytes gives n bytes that look random and are the same for the same n and seed.
func Bytes(n int, seed uint64) []byte {
	b := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(n)})
	_, _ = src.Read(b)
	return b
}

// Digest gives the SHA-256 of data as a store names it.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Put stores data under a key of InProgress, without announcing anything.
func Put(t testing.TB, s storage.Store, key string, data []byte) storage.Info {
	t.Helper()
	info, err := s.Put(t.Context(), ref(key), bytes.NewReader(data), storage.PutOptions{Size: -1})
	require.NoError(t, err)
	return info
}

// Read gets a blob of InProgress in full.
func Read(t testing.TB, s storage.Store, key string, span storage.Span) ([]byte, error) {
	t.Helper()
	obj, err := s.Get(t.Context(), ref(key), span)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(obj.Body)
	require.NoError(t, obj.Body.Close())
	if err == nil {
		require.Equal(t, obj.Length, int64(len(data)), "Length is what Body gives")
	}
	return data, err
}

func ref(key string) storage.Ref { return storage.Ref{State: storage.InProgress, Key: key} }

// requireEmpty holds that a failed Put left nothing that can be seen.
func requireEmpty(t *testing.T, s storage.Store, key string) {
	t.Helper()
	_, err := s.Stat(t.Context(), ref(key))
	requireKind(t, fault.NotFound, err)
	page, err := s.List(t.Context(), storage.InProgress, "", 0)
	require.NoError(t, err)
	require.Empty(t, page.Blobs)
}

func requireKind(t *testing.T, kind fault.Kind, err error, about ...any) {
	t.Helper()
	require.Error(t, err, about...)
	require.Equal(t, kind, fault.KindOf(err), append(about, err.Error())...)
}
