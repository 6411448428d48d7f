package scribe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// ledger remembers each write.
type ledger struct {
	mu     sync.Mutex
	writes []string
	err    error
}

func (l *ledger) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes = append(l.writes, string(p))
	return len(p), l.err
}

// all gives what was written so far.
func (l *ledger) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.writes)
}

// lines writes as many lines as there are texts.
func lines(t *testing.T, w io.Writer, texts ...string) {
	t.Helper()
	for _, text := range texts {
		n, err := io.WriteString(w, text+"\n")
		require.NoError(t, err)
		require.Equal(t, len(text)+1, n)
	}
}

// pass lets time go by, which a test in a bubble does not wait for.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestAfterAPauseAtOnceThenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out ledger
		w := NewWriter(&out)
		lines(t, w, "a", "b", "c")
		assert.Equal(t, []string{"a\n"}, out.all())
		pass(pause / 2)
		lines(t, w, "d")
		assert.Len(t, out.all(), 1)
		pass(pause / 2)
		assert.Equal(t, []string{"a\n", "b\nc\nd\n"}, out.all())
		lines(t, w, "e")
		assert.Len(t, out.all(), 2, "the last ones went out just now")
		pass(3 * pause)
		lines(t, w, "f")
		assert.Equal(t, []string{"a\n", "b\nc\nd\n", "e\n", "f\n"}, out.all())
	})
}

func TestMuchDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out ledger
		w := NewWriter(&out)
		line := strings.Repeat("x", 999)
		for range 200 {
			lines(t, w, line)
		}
		require.NoError(t, w.Flush())
		all := strings.Join(out.all(), "")
		assert.Len(t, all, 200*1000, "none is lost, none is written twice")
		assert.Len(t, out.all(), 2+199/17)
		for _, one := range out.all() {
			assert.LessOrEqual(t, len(one), most+1000)
		}
	})
}

func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out ledger
		w := NewWriter(&out)
		require.NoError(t, w.Flush())
		assert.Empty(t, out.all(), "there is nothing to write")
		lines(t, w, "a", "b")
		require.NoError(t, w.Flush())
		assert.Equal(t, []string{"a\n", "b\n"}, out.all())
		pass(time.Hour)
		assert.Len(t, out.all(), 2, "nothing is left to go out later")
		out.err = errors.New("the pipe is closed")
		_, err := io.WriteString(w, "c\n")
		assert.ErrorIs(t, err, out.err)
	})
}

func TestAWarningTakesAllWithIt(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelWarn, slog.LevelError} {
		synctest.Test(t, func(t *testing.T) {
			var out ledger
			w := NewWriter(&out)
			log := slog.New(Handler(w, nil)).With("service", "one").WithGroup("more")
			log.Info("first")
			log.Info("second")
			assert.Len(t, out.all(), 1)
			log.Log(t.Context(), level, "third")
			require.Len(t, out.all(), 2)
			assert.Regexp(t, `(?s)^{.*"msg":"second","service":"one"}\n.*"msg":"third".*}\n$`, out.all()[1])
		})
	}
}

func TestTheLevelIsTheOptions(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	log := slog.New(Handler(w, &slog.HandlerOptions{Level: slog.LevelError}))
	log.Warn("not this")
	assert.Empty(t, out.String())
	log.Error("but this")
	assert.Contains(t, out.String(), "but this")
}

func ExampleWriter() {
	var out bytes.Buffer
	w := NewWriter(&out)
	log := slog.New(Handler(w, nil))
	log.Info("this goes out at once")
	log.Info("this waits for others")
	fmt.Println(strings.Count(out.String(), "\n"))
	log.Warn("which this does not")
	fmt.Println(strings.Count(out.String(), "\n"))
	// Output:
	// 1
	// 3
}
