package imagemastertest

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
)

func keyed(key, body, document string) imagemaster.Upload {
	return imagemaster.Upload{
		Pipeline: json.RawMessage(document), ContentType: "image/png", Size: -1, Body: strings.NewReader(body), IdempotencyKey: key,
	}
}

// repeats sends uploads again under the same key: the same is the same image, and
// another is refused; neither leaves anything.
func repeats(t *testing.T, b *bench) {
	send := func(key, body, document string) (string, error) {
		acc, err := b.NewImage(t.Context(), keyed(key, body, document))
		return acc.ID, err
	}
	first, err := send("a key", "original", Document)
	require.NoError(t, err)
	for range 2 {
		again, err := send("a key", "original", Document)
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
	other := strings.Replace(Document, `"b"`, `"c"`, 1)
	for _, c := range [][2]string{{"originaL", Document}, {"original", other}, {"origina", Document}} {
		_, err = send("a key", c[0], c[1])
		requireKind(t, fault.Unprocessable, err)
		require.Equal(t, "Idempotency-Key", fault.As(err).Field)
	}
	require.Equal(t, 1, b.blobs(t))
	second, err := send("another", "original", Document)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	require.NoError(t, b.Delete(t.Context(), "", first))
	third, err := send("a key", "originaL", Document)
	require.NoError(t, err, "the key goes with its image")
	require.NotEqual(t, first, third)
	require.Equal(t, 2, b.blobs(t))
	for _, key := range []string{strings.Repeat("k", 256), "tab\tkey", "\u00e9"} {
		_, err := b.NewImage(t.Context(), keyed(key, "original", Document))
		requireKind(t, fault.Invalid, err)
	}
	_, err = send(strings.Repeat("~ ", 127)+"~", "original", Document)
	require.NoError(t, err)
}

// repeatsAtOnce has many send one upload at the same moment.
func repeatsAtOnce(t *testing.T, b *bench) {
	var wg sync.WaitGroup
	ids := make([]string, 16)
	for i := range ids {
		wg.Go(func() {
			acc, err := b.NewImage(t.Context(), keyed("a key", "original", Document))
			assert.NoError(t, err)
			ids[i] = acc.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	require.Equal(t, 1, b.blobs(t), "what was sent in vain is removed")
	b.claim(t, "w")
	work, err := b.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: 5})
	require.NoError(t, err)
	require.Empty(t, work)
}
