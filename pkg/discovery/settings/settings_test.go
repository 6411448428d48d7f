package settings_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/mem"
	"imagemill/pkg/discovery/settings"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// number is a setting from 1 to 100.
func number(name string) settings.Definition[int] {
	return settings.Definition[int]{
		Name: name, Help: "a number", Allowed: "1 to 100",
		Parse: func(s string) (int, error) {
			n, err := strconv.Atoi(s)
			if err != nil || n < 1 || n > 100 {
				return 0, fmt.Errorf("is %.40q; allowed is 1 to 100", s)
			}
			return n, nil
		},
	}
}

// logged is a log that can be read while it is written.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// count is how often a text stands in the log.
func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

func newSet(known ...settings.Known) (*settings.Set, *logged) {
	l := &logged{}
	return settings.New(settings.Config{Known: known, Interval: time.Millisecond, Log: slog.New(slog.NewTextHandler(l, nil))}), l
}

func entry(value string, version uint64) discovery.Entry {
	return discovery.Entry{Value: value, Version: version, Writer: "ada@host"}
}

func TestAValueFollowsTheDocument(t *testing.T) {
	set, _ := newSet()
	var told []int
	v := settings.Use(set, number("size"), 5, func(n int) { told = append(told, n) })
	require.Equal(t, 5, v.Get())
	set.Apply(discovery.Document{"size": entry(" 7\n", 1)})
	require.Equal(t, 7, v.Get(), "the space around it does not count")
	set.Apply(discovery.Document{"size": entry(" 7\n", 1), "other": entry("1", 2)})
	set.Apply(discovery.Document{"size": entry("9", 3)})
	set.Apply(discovery.Document{})
	require.Equal(t, 5, v.Get(), "what is deleted goes back to the configured value")
	set.Apply(discovery.Document{})
	require.Equal(t, []int{7, 9, 5}, told, "of each change, once")
	applied, refused := set.Counts()
	require.Equal(t, []uint64{3, 0}, []uint64{applied, refused})
}

func TestABadValueIsRefusedAndSaidOnce(t *testing.T) {
	set, log := newSet()
	v := settings.Use(set, number("size"), 5, func(n int) { require.Equal(t, 7, n) })
	set.Apply(discovery.Document{"size": entry("7", 1)})
	long := strings.Repeat("long ", 50_000)
	for i, bad := range []string{"0", "many", "", "\xff\xfe", long} {
		doc := discovery.Document{"size": entry(bad, uint64(i+2))}
		set.Apply(doc)
		set.Apply(doc)
		require.Equal(t, 7, v.Get(), "%.20q", bad)
		require.Equal(t, i+1, log.count("setting refused"), "%.20q", bad)
		shown := set.Show()["size"]
		require.Equal(t, []string{"7", settings.FromShared, "5"}, []string{shown.Value, shown.From, *shown.Configured})
		require.NotNil(t, shown.Refused)
		require.Equal(t, "ada@host", shown.Refused.Writer)
		require.NotEmpty(t, shown.Refused.Reason)
		require.Less(t, len(shown.Refused.Value), 256)
	}
	require.Equal(t, 5, log.count("setting=size")-1, "the first was fine")
	require.Positive(t, log.count("writer=ada@host"))
	require.Positive(t, log.count("allowed is 1 to 100"))
	require.Less(t, log.buf.Len(), 10_000, "values are cut")
	set.Apply(discovery.Document{"size": entry("7", 9)})
	require.Nil(t, set.Show()["size"].Refused)
	require.EqualValues(t, 9, set.Show()["size"].Version)
	_, refused := set.Counts()
	require.EqualValues(t, 5, refused)
}

func TestABadFirstValueLeavesTheConfiguredOne(t *testing.T) {
	set, log := newSet()
	v := settings.Use(set, number("size"), 5, func(int) { t.Error("told of a change") })
	set.Apply(discovery.Document{"size": {Value: "x"}})
	require.Equal(t, 5, v.Get())
	require.Equal(t, 1, log.count("writer=unknown"))
	require.Equal(t, settings.FromConfigured, set.Show()["size"].From)
	set.Apply(discovery.Document{})
	require.Nil(t, set.Show()["size"].Refused)
}

func TestAFamilyHasMembers(t *testing.T) {
	set, log := newSet()
	var told int
	f := settings.UseFamily(set, number("sizes/*"), map[string]int{"small": 1, "large": 9}, func(map[string]int) { told++ })
	require.Equal(t, map[string]int{"small": 1, "large": 9}, f.Get())
	set.Apply(discovery.Document{"sizes/large": entry("10", 1), "sizes/huge": entry("100", 2), "sizes/odd": entry("odd", 3), "size": entry("2", 4)})
	require.Equal(t, map[string]int{"small": 1, "large": 10, "huge": 100}, f.Get())
	require.Equal(t, 1, told)
	require.Equal(t, 1, log.count("setting refused"))
	require.Equal(t, 1, log.count("known to nobody"), "size is no member")
	shown := set.Show()
	require.Equal(t, settings.FromConfigured, shown["sizes/small"].From)
	require.Equal(t, "9", *shown["sizes/large"].Configured)
	require.Nil(t, shown["sizes/huge"].Configured)
	require.NotNil(t, shown["sizes/odd"].Refused)
	set.Apply(discovery.Document{"sizes/odd": entry("3", 5), "sizes/huge": entry("0", 6)})
	require.Equal(t, map[string]int{"small": 1, "large": 9, "odd": 3, "huge": 100}, f.Get(), "the last good one stays")
	set.Apply(discovery.Document{})
	require.Equal(t, map[string]int{"small": 1, "large": 9}, f.Get())
	require.NotContains(t, set.Show(), "sizes/odd")
}

func TestUnknownNamesAreSaidOnce(t *testing.T) {
	set, log := newSet(number("theirs"), number("family/*"))
	settings.Use(set, number("mine"), 5)
	doc := discovery.Document{"mine": entry("1", 1), "theirs": entry("1", 2), "family/a": entry("x", 3), "nobodys": entry("1", 4), "family": entry("1", 5)}
	set.Apply(doc)
	set.Apply(doc)
	require.Equal(t, 2, log.count("known to nobody"))
	require.Equal(t, 1, log.count("setting=nobodys"))
}

func TestAllValuesAreInPlaceBeforeAnybodyIsTold(t *testing.T) {
	set, _ := newSet()
	var b *settings.Value[int]
	a := settings.Use(set, number("a"), 1, func(int) { assert.Equal(t, 3, b.Get()) })
	b = settings.Use(set, number("b"), 1, func(int) { assert.Equal(t, 2, a.Get()); assert.NotEmpty(t, set.Show()) })
	set.Apply(discovery.Document{"a": entry("2", 1), "b": entry("3", 2)})
	late := settings.Use(set, number("a"), 1)
	require.Equal(t, 2, late.Get(), "what is there already counts at once")
}

func TestWithoutASetTheConfiguredValueStays(t *testing.T) {
	require.Equal(t, 5, settings.Use(nil, number("a"), 5).Get())
	require.Equal(t, map[string]int{"x": 1}, settings.UseFamily(nil, number("a/*"), map[string]int{"x": 1}).Get())
	var none *settings.Set
	require.Empty(t, none.Show())
}

func TestACatalogueChecks(t *testing.T) {
	c := settings.Catalogue{number("size"), number("sizes/*")}
	require.NoError(t, c.Check("size", "5"))
	require.NoError(t, c.Check("sizes/any", " 5 "))
	for name, value := range map[string]string{"size": "0", "sizes/any": "x", "a b": "5"} {
		require.ErrorIs(t, c.Check(name, value), discovery.ErrInvalidSetting)
	}
	for _, name := range []string{"sizes", "Size", "size/x"} {
		err := c.Check(name, "5")
		require.ErrorIs(t, err, settings.ErrUnknown, name)
		require.ErrorContains(t, err, "size, sizes/*")
	}
	require.False(t, errors.Is(c.Check("sizes/*", "5"), settings.ErrUnknown), "a star is no name at all")
}

// run follows the store until the test ends.
func run(t *testing.T, set *settings.Set, store discovery.SettingsStore) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- set.Run(ctx, store) }()
	t.Cleanup(func() { cancel(); assert.NoError(t, <-done) })
}

func TestRunFollowsAStore(t *testing.T) {
	store := mem.New()
	set, _ := newSet()
	v := settings.Use(set, number("size"), 5)
	run(t, set, store)
	require.NoError(t, store.PutSetting(t.Context(), "size", "7", "ada@host"))
	require.Eventually(t, func() bool { return v.Get() == 7 }, time.Minute, time.Millisecond)
	require.Equal(t, "ada@host", set.Show()["size"].Writer)
	require.NoError(t, store.DeleteSetting(t.Context(), "size", "ada@host"))
	require.Eventually(t, func() bool { return v.Get() == 5 }, time.Minute, time.Millisecond)
}

// However fast a writer flaps, a set applies one document in an interval, and the
// last one in the end.
func TestAFlappingWriterCostsWhatTheIntervalAllows(t *testing.T) {
	const interval = 20 * time.Millisecond
	store := mem.New()
	set := settings.New(settings.Config{Interval: interval})
	v := settings.Use(set, number("size"), 5)
	begun := time.Now()
	run(t, set, store)
	follows := func() bool { applied, _ := set.Counts(); return applied > 2 }
	for i := 0; time.Since(begun) < 300*time.Millisecond || !follows() && time.Since(begun) < time.Minute; i++ {
		require.NoError(t, store.PutSetting(t.Context(), "size", strconv.Itoa(i%50+1), "w"))
	}
	require.NoError(t, store.PutSetting(t.Context(), "size", "99", "w"))
	require.Eventually(t, func() bool { return v.Get() == 99 }, time.Minute, time.Millisecond)
	applied, _ := set.Counts()
	assert.LessOrEqual(t, float64(applied), 1+float64(time.Since(begun))/float64(interval))
	assert.True(t, follows(), "and they do follow")
}

func Example() {
	set := settings.New(settings.Config{})
	level := settings.Use(set, settings.Definition[string]{
		Name: "greeting", Allowed: "any words",
		Parse: func(s string) (string, error) {
			if s == "" {
				return "", errors.New("is empty")
			}
			return s, nil
		},
	}, "hello", func(now string) { fmt.Println("it is now", now) })

	fmt.Println(level.Get())
	// Run would follow a store; here are three documents of one.
	set.Apply(discovery.Document{"greeting": {Value: "good morning", Writer: "ada@host"}})
	set.Apply(discovery.Document{"greeting": {Value: ""}}) // refused: the last good one stays
	fmt.Println(level.Get())
	set.Apply(discovery.Document{})
	// Output:
	// hello
	// it is now good morning
	// good morning
	// it is now hello
}
