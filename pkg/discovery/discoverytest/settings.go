package discoverytest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
)

// SettingsHarness is one store of settings under test.
type SettingsHarness struct {
	// Open returns a handle of the store; all handles see the same settings. It may
	// return the same one each time, and cleans up by t.Cleanup.
	Open func(t *testing.T) discovery.SettingsStore
	// Within is how long a change may take to be seen; zero is a minute.
	Within time.Duration
	// Outage makes the store unreachable until the function it returns is called.
	// Nil if it cannot be.
	Outage func(t *testing.T) (restore func())
	// Foreign writes a value past the store's handles, as another program would.
	// Nil if it cannot be done.
	Foreign func(t *testing.T, name, value string)
	// Spoil puts something that is no setting among the settings. Nil if it cannot
	// be done.
	Spoil func(t *testing.T)
}

// RunSettings tests a store that can be written to. It calls start for each test,
// for an empty store.
func RunSettings(t *testing.T, start func(t *testing.T) SettingsHarness) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *shelf){
		"an empty document is a document":                noSettings,
		"what is put is seen by all":                     putIsSeen,
		"a value arrives byte for byte":                  anyValue,
		"versions rise":                                  versionsRise,
		"the last write wins":                            lastWrite,
		"deleting removes the name":                      deleted,
		"documents are whole":                            wholeDocument,
		"documents are the receiver's own":               ownDocuments,
		"a slow reader gets the newest document":         slowSettingsReader,
		"the channel closes with the context":            settingsClose,
		"what no document can hold is an error at once":  invalidSettings,
		"a context that is done writes nothing":          doneSettingsContext,
		"an outage keeps the last document":              settingsOutage,
		"a watch begun in an outage is silent, then not": settingsWatchedInOutage,
		"what another program wrote has no writer":       foreignWriter,
		"what is no setting is skipped":                  spoiledSettings,
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			if h.Within == 0 {
				h.Within = time.Minute
			}
			test(t, &shelf{SettingsHarness: h, store: h.Open(t)})
		})
	}
}

// RunFixedSettings tests a store that cannot be written to. start makes one of a
// document.
func RunFixedSettings(t *testing.T, start func(t *testing.T, doc discovery.Document) discovery.SettingsStore) {
	t.Helper()
	doc := discovery.Document{"log/level": {Value: "debug", Version: 3, Writer: "ada@host"}}
	open := func(t *testing.T, doc discovery.Document) *shelf {
		store := start(t, doc)
		h := SettingsHarness{Open: func(*testing.T) discovery.SettingsStore { return store }, Within: time.Minute}
		return &shelf{SettingsHarness: h, store: store}
	}
	t.Run("an empty document is a document", func(t *testing.T) { noSettings(t, open(t, nil)) })
	t.Run("what no document can hold is an error at once", func(t *testing.T) { invalidSettings(t, open(t, doc)) })
	t.Run("the channel closes with the context", func(t *testing.T) { settingsClose(t, open(t, doc)) })
	t.Run("the document is the receiver's own", func(t *testing.T) {
		s := open(t, doc)
		first := s.next(t, s.watch(t, s.store))
		assert.Equal(t, doc, first)
		delete(first, "log/level")
		assert.Equal(t, doc, s.next(t, s.watch(t, s.store)))
	})
	t.Run("writing is refused", func(t *testing.T) {
		s := open(t, doc)
		require.ErrorIs(t, s.store.PutSetting(t.Context(), "log/level", "info", "w"), discovery.ErrReadOnlySettings)
		require.ErrorIs(t, s.store.DeleteSetting(t.Context(), "log/level", "w"), discovery.ErrReadOnlySettings)
	})
}

// shelf is a harness with a first handle open.
type shelf struct {
	SettingsHarness
	store discovery.SettingsStore
}

// watch begins a watch that ends with the test.
func (s *shelf) watch(t *testing.T, store discovery.SettingsStore) <-chan discovery.Document {
	ctx, cancel := context.WithCancel(context.Background())
	docs := store.WatchSettings(ctx)
	t.Cleanup(func() {
		cancel()
		s.drain(t, docs)
	})
	return docs
}

// drain waits until the channel is closed.
func (s *shelf) drain(t *testing.T, docs <-chan discovery.Document) {
	t.Helper()
	deadline := time.After(s.Within)
	for {
		select {
		case _, open := <-docs:
			if !open {
				return
			}
		case <-deadline:
			require.FailNow(t, "the channel is not closed")
		}
	}
}

// next is the next document, whatever it is.
func (s *shelf) next(t *testing.T, docs <-chan discovery.Document) discovery.Document {
	t.Helper()
	select {
	case doc, open := <-docs:
		require.True(t, open, "the channel is closed")
		return doc
	case <-time.After(s.Within):
		require.FailNow(t, "no document came")
		return nil
	}
}

// see waits for a document of exactly these settings, given as name, value, ….
func (s *shelf) see(t *testing.T, docs <-chan discovery.Document, want ...string) discovery.Document {
	t.Helper()
	wanted := map[string]string{}
	for i := 0; i < len(want); i += 2 {
		wanted[want[i]] = want[i+1]
	}
	deadline := time.After(s.Within)
	last := "none"
	for {
		select {
		case doc, open := <-docs:
			require.True(t, open, "the channel is closed")
			got := map[string]string{}
			for name, e := range doc {
				got[name] = e.Value
			}
			if assert.ObjectsAreEqual(wanted, got) {
				return doc
			}
			last = fmt.Sprintf("%.500q", got)
		case <-deadline:
			require.FailNow(t, "the document never came", "want %.500q, last seen %s", wanted, last)
		}
	}
}

// put writes and must succeed.
func (s *shelf) put(t *testing.T, name, value, writer string) {
	t.Helper()
	require.NoError(t, s.store.PutSetting(t.Context(), name, value, writer), "put %s", name)
}

// hostile are values that a careless store would change.
func hostile() map[string]string {
	return map[string]string{
		"empty": "", "space": " \t\n", "json": `{"a":["b\\n",1e3]}`, "utf": "größe → 画像\x00\x01",
		"bytes": "\xff\xfe", "long": strings.Repeat("x", discovery.MaxSettingValue), "percent": "%41%2F?#&=+",
	}
}
