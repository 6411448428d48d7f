package discoverytest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
)

func noSettings(t *testing.T, s *shelf) {
	doc := s.next(t, s.watch(t, s.store))
	assert.Empty(t, doc)
	assert.NotNil(t, doc)
}

func putIsSeen(t *testing.T, s *shelf) {
	docs := s.watch(t, s.Open(t))
	s.see(t, docs)
	s.put(t, "log/level", "debug", "ada@host")
	doc := s.see(t, docs, "log/level", "debug")
	assert.Equal(t, "ada@host", doc["log/level"].Writer)
	assert.NotZero(t, doc["log/level"].Version)
	s.see(t, s.watch(t, s.Open(t)), "log/level", "debug")
}

func anyValue(t *testing.T, s *shelf) {
	want := []string{}
	for name, value := range hostile() {
		s.put(t, "a/"+name, value, "w")
		want = append(want, "a/"+name, value)
	}
	s.see(t, s.watch(t, s.Open(t)), want...)
}

func versionsRise(t *testing.T, s *shelf) {
	docs := s.watch(t, s.Open(t))
	s.put(t, "a", "1", "w")
	s.put(t, "b", "1", "w")
	first := s.see(t, docs, "a", "1", "b", "1")
	s.put(t, "a", "2", "w")
	second := s.see(t, docs, "a", "2", "b", "1")
	assert.Greater(t, second["a"].Version, first["a"].Version)
	assert.Equal(t, first["b"], second["b"])
}

func lastWrite(t *testing.T, s *shelf) {
	s.put(t, "a", "1", "ada@host")
	s.put(t, "a", "2", "bob@host")
	docs := s.watch(t, s.Open(t))
	assert.Equal(t, "bob@host", s.see(t, docs, "a", "2")["a"].Writer)
	other := s.Open(t)
	require.NoError(t, other.PutSetting(t.Context(), "a", "3", ""))
	assert.Empty(t, s.see(t, docs, "a", "3")["a"].Writer)
}

func deleted(t *testing.T, s *shelf) {
	docs := s.watch(t, s.Open(t))
	s.put(t, "a", "1", "w")
	s.put(t, "a/b", "1", "w")
	s.see(t, docs, "a", "1", "a/b", "1")
	require.NoError(t, s.store.DeleteSetting(t.Context(), "a", "w"))
	s.see(t, docs, "a/b", "1")
	require.NoError(t, s.store.DeleteSetting(t.Context(), "a", "w"), "what is not there is no error")
	require.NoError(t, s.store.DeleteSetting(t.Context(), "a/b", "w"))
	s.see(t, docs)
	s.put(t, "a", "2", "w")
	s.see(t, docs, "a", "2")
}

func wholeDocument(t *testing.T, s *shelf) {
	docs, want := s.watch(t, s.Open(t)), []string{}
	for n := range 40 {
		name, value := fmt.Sprintf("presets/p-%d", n), fmt.Sprint(n)
		s.put(t, name, value, "w")
		want = append(want, name, value)
	}
	s.see(t, docs, want...)
}

func ownDocuments(t *testing.T, s *shelf) {
	s.put(t, "a", "1", "w")
	first, second := s.watch(t, s.store), s.watch(t, s.store)
	mine := s.see(t, first, "a", "1")
	mine["a"] = discovery.Entry{Value: "spoiled"}
	mine["b"] = discovery.Entry{}
	s.see(t, second, "a", "1")
	s.see(t, s.watch(t, s.store), "a", "1")
}

func slowSettingsReader(t *testing.T, s *shelf) {
	slow, quick := s.watch(t, s.store), s.watch(t, s.store)
	for n := range 10 {
		s.put(t, "a", fmt.Sprint(n), "w")
	}
	s.see(t, quick, "a", "9")
	for range 3 {
		if s.next(t, slow)["a"].Value == "9" {
			return
		}
	}
	assert.Fail(t, "the slow reader was given stale documents")
}

func settingsClose(t *testing.T, s *shelf) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	read, unread := s.store.WatchSettings(ctx), s.store.WatchSettings(ctx)
	s.next(t, read)
	cancel()
	s.drain(t, read)
	s.drain(t, unread)
	s.drain(t, s.store.WatchSettings(ctx))
}

func invalidSettings(t *testing.T, s *shelf) {
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", "a b", "ä", "a\x00", "..", "a/../b", "./a", "a?b", "@a", strings.Repeat("a", discovery.MaxSettingName+1),
	} {
		require.ErrorIs(t, s.store.PutSetting(t.Context(), name, "1", "w"), discovery.ErrInvalidSetting, "%q", name)
		require.ErrorIs(t, s.store.DeleteSetting(t.Context(), name, "w"), discovery.ErrInvalidSetting, "%q", name)
	}
	long := strings.Repeat("x", discovery.MaxSettingValue+1)
	require.ErrorIs(t, s.store.PutSetting(t.Context(), "a", long, "w"), discovery.ErrInvalidSetting)
}

func doneSettingsContext(t *testing.T, s *shelf) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.Error(t, s.store.PutSetting(ctx, "a", "1", "w"))
	require.Error(t, s.store.DeleteSetting(ctx, "a", "w"))
	assert.Empty(t, s.next(t, s.watch(t, s.store)))
}

func settingsOutage(t *testing.T, s *shelf) {
	if s.Outage == nil {
		t.Skip("this store is always there")
	}
	s.put(t, "a", "1", "w")
	docs := s.watch(t, s.store)
	s.see(t, docs, "a", "1")
	restore := s.Outage(t)
	require.Error(t, s.store.PutSetting(t.Context(), "a", "2", "w"))
	restore()
	require.Eventually(t, func() bool {
		return s.store.PutSetting(t.Context(), "b", "1", "w") == nil
	}, s.Within, s.Within/1000)
	// Neither an empty document nor the old one again was delivered for the outage.
	doc := s.next(t, docs)
	assert.Equal(t, []string{"1", "1"}, []string{doc["a"].Value, doc["b"].Value})
}

func settingsWatchedInOutage(t *testing.T, s *shelf) {
	if s.Outage == nil {
		t.Skip("this store is always there")
	}
	s.put(t, "a", "1", "w")
	restore := s.Outage(t)
	docs := s.watch(t, s.store)
	ctx, cancel := context.WithCancel(context.Background())
	ending := s.store.WatchSettings(ctx)
	cancel()
	s.drain(t, ending)
	select {
	case doc := <-docs:
		assert.Fail(t, "a document without an answer", "%v", doc)
	default:
	}
	restore()
	s.see(t, docs, "a", "1")
}

func foreignWriter(t *testing.T, s *shelf) {
	if s.Foreign == nil {
		t.Skip("nobody else can write to this store")
	}
	docs := s.watch(t, s.store)
	s.Foreign(t, "a", "1")
	assert.Empty(t, s.see(t, docs, "a", "1")["a"].Writer)
	s.put(t, "a", "2", "ada@host")
	assert.Equal(t, "ada@host", s.see(t, docs, "a", "2")["a"].Writer)
	s.Foreign(t, "a", "3")
	assert.Empty(t, s.see(t, docs, "a", "3")["a"].Writer, "it is not ada's any more")
	require.NoError(t, s.store.DeleteSetting(t.Context(), "a", "w"))
	s.Foreign(t, "a", "4")
	assert.Empty(t, s.see(t, docs, "a", "4")["a"].Writer)
}

func spoiledSettings(t *testing.T, s *shelf) {
	if s.Spoil == nil {
		t.Skip("this store cannot be spoiled")
	}
	docs := s.watch(t, s.store)
	s.see(t, docs)
	s.Spoil(t)
	s.put(t, "a", "1", "w")
	s.see(t, docs, "a", "1")
}
