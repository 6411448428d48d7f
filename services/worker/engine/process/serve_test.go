package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// stub answers every job in the same way.
type stub struct {
	report engine.Report
	err    error
}

func (s stub) Render(context.Context, engine.Job) (engine.Report, error) { return s.report, s.err }

// frames writes requests as a parent would.
func frames(t *testing.T, v ...any) *bytes.Buffer {
	var b bytes.Buffer
	for _, v := range v {
		require.NoError(t, writeFrame(&b, v))
	}
	return &b
}

func TestServeGreetsAnswersAndEndsWithItsInput(t *testing.T) {
	job := engine.Job{Source: "s", Dir: "d", Pipeline: pipeline.DefaultPresets()["small"]}
	var out bytes.Buffer
	in := frames(t, request{ID: 7, Job: job}, request{ID: 8, Job: job})
	require.NoError(t, Serve(t.Context(), in, &out, stub{err: fault.Wrap(fault.TooLarge, "too large", errors.New("because")).WithField("f")}))
	var h hello
	require.NoError(t, readFrame(&out, &h))
	assert.Equal(t, protocol, h.Protocol)
	for id := uint64(7); id <= 8; id++ {
		var r reply
		require.NoError(t, readFrame(&out, &r))
		assert.Equal(t, id, r.ID)
		e := fault.As(r.Failure.err())
		assert.Equal(t, "f: too large: because", e.Error())
		assert.Equal(t, fault.TooLarge, e.Kind)
	}
	assert.Equal(t, io.EOF, readFrame(&out, &h))
}

func TestServeEndsOnRubbishAndOnBrokenPipes(t *testing.T) {
	err := Serve(t.Context(), strings.NewReader("\x00\x00\x00\x02{]"), io.Discard, stub{})
	require.ErrorIs(t, err, errRubbish)
	err = Serve(t.Context(), strings.NewReader("\x00\x00\x00\x09{"), io.Discard, stub{})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	r, w := io.Pipe()
	require.NoError(t, r.Close())
	require.ErrorIs(t, Serve(t.Context(), strings.NewReader(""), w, stub{}), io.ErrClosedPipe)
}

func TestServeEndsWithItsContext(t *testing.T) {
	in, parent := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	out, child := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, in, child, stub{}) }()
	var h hello
	require.NoError(t, readFrame(out, &h))
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.NoError(t, parent.Close())
}

func TestFramesAreBounded(t *testing.T) {
	require.Error(t, writeFrame(io.Discard, strings.Repeat("x", maxFrame)))
	long := failureOf(fault.Wrap(fault.Internal, "", errors.New(strings.Repeat("x", maxFrame))))
	require.NoError(t, writeFrame(io.Discard, long))
}

func TestResultsMustBeWhereTheyShould(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	good := filepath.Join(dir, "default.png")
	for _, name := range []string{good, filepath.Join(other, "default.png")} {
		require.NoError(t, os.WriteFile(name, []byte("12345"), 0o600))
	}
	link := filepath.Join(dir, "link.png")
	linked := os.Symlink(good, link) == nil
	job := engine.Job{Dir: dir, Pipeline: pipeline.DefaultPresets()["small"]}
	try := func(r ...engine.Rendition) error {
		_, err := accept(job, reply{Report: engine.Report{Renditions: r}})
		return err
	}
	require.NoError(t, try(engine.Rendition{Name: "default", File: good, Bytes: 5}))
	for _, r := range [][]engine.Rendition{
		nil,
		{{Name: "default", File: good, Bytes: 4}},
		{{Name: "other", File: good, Bytes: 5}},
		{{Name: "default", File: filepath.Join(other, "default.png"), Bytes: 5}},
		{{Name: "default", File: dir, Bytes: 5}},
		{{Name: "default", File: good, Bytes: 5}, {Name: "default", File: good, Bytes: 5}},
	} {
		assert.True(t, engine.Died(try(r...)), "%+v", r)
	}
	if linked {
		assert.True(t, engine.Died(try(engine.Rendition{Name: "default", File: link, Bytes: 5})))
	}
}

func TestTailKeepsBeginningAndEnd(t *testing.T) {
	var l tail
	_, _ = l.Write([]byte("panic: why\n"))
	for range 1000 {
		_, _ = l.Write([]byte("goroutine and so on\n"))
	}
	_, _ = l.Write([]byte("the end"))
	assert.Len(t, l.String(), tailBytes)
	assert.Equal(t, " (panic: why)", l.cause())
	assert.True(t, strings.HasSuffix(l.String(), "the end"))
	assert.Empty(t, (&tail{}).cause())
}

// A child's answer is hostile too.
func FuzzReadFrame(f *testing.F) {
	b, err := json.Marshal(reply{ID: 1, Failure: &failure{Kind: fault.Invalid, Public: "x"}})
	require.NoError(f, err)
	f.Add(append([]byte{0, 0, 0, byte(len(b))}, b...))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r reply
		if err := readFrame(bytes.NewReader(b), &r); err == nil && r.Failure != nil {
			_ = r.Failure.err().Error()
		}
	})
}

func ExampleServe() {
	// What `imagemill engine` does, but with pipes instead of stdin and stdout:
	// the parent has closed its end at once, so Serve greets and returns.
	err := Serve(context.Background(), strings.NewReader(""), io.Discard, stub{})
	if err != nil {
		panic(err)
	}
	// Output:
}
