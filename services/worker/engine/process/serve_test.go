package process

import (
	"bytes"
	"context"
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
	"imagemill/services/worker/engine/sandbox"
)

// stub answers every job in the same way.
type stub struct {
	report engine.Report
	err    error
}

func (s stub) Render(context.Context, engine.Job) (engine.Report, error) { return s.report, s.err }

// frames writes requests as a parent would. No sandbox is asked for that would
// stay around the tests.
func frames(t *testing.T, v ...any) *bytes.Buffer {
	var b bytes.Buffer
	require.NoError(t, writeFrame(&b, begin()))
	for _, v := range v {
		require.NoError(t, writeFrame(&b, v))
	}
	return &b
}

// begin is a first frame that leaves the process what it has.
func begin() setup {
	return setup{Protocol: protocol, Dir: "d", Sandbox: sandbox.Config{None: true}}
}

func TestServeGreetsAnswersAndEndsWithItsInput(t *testing.T) {
	document, err := write(pipeline.DefaultPresets()["small"])
	require.NoError(t, err)
	var out bytes.Buffer
	in := frames(t, request{ID: 7, Source: "s"}, document, request{ID: 8, Source: "s"}, document)
	require.NoError(t, Serve(t.Context(), NewLine(in, &out), stub{err: fault.Wrap(fault.TooLarge, "too large", errors.New("because")).WithField("f")}, About{}))
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
	for text, want := range map[string]error{
		"\x00\x00\x00\x02{]": errRubbish, "\x00\x00\x00\x09{": io.ErrUnexpectedEOF,
		"\x00\x00\x00\x02{}": io.ErrUnexpectedEOF, "\x00\x00\x00\x02{}\x00\x00\x00\x02{}": errRubbish,
		"\x00\x00\x00\x0b{\"files\":1}\x00\x00\x00\x32[{\"name\":\"a\",\"document\":{\"renditions\":[{}]}}]      ": errRubbish,
	} {
		in := frames(t)
		in.WriteString(text)
		require.ErrorIs(t, Serve(t.Context(), NewLine(in, io.Discard), stub{}, About{}), want, text)
	}
	require.ErrorContains(t, Serve(t.Context(), NewLine(strings.NewReader("\x00\x00\x00\x02{}"), io.Discard), stub{}, About{}), "speaks protocol 0")
	r, w := io.Pipe()
	require.NoError(t, r.Close())
	require.ErrorIs(t, Serve(t.Context(), NewLine(frames(t), w), stub{}, About{}), io.ErrClosedPipe)
}

func TestServeEndsWithItsContext(t *testing.T) {
	in, parent := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	out, child := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, NewLine(in, child), stub{}, About{}) }()
	require.NoError(t, writeFrame(parent, begin()))
	var h hello
	require.NoError(t, readFrame(out, &h))
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// What Expand makes has names and a number that Parse refuses.
func TestPipelinesReachTheChildAsTheyAre(t *testing.T) {
	var known documents
	for _, document := range []string{
		`{"renditions":[{"operations":[{"op":"resize","width":10}]}]}`,
		`{"describe":["exif"],"renditions":[{"name":"a","format":"auto","operations":[{"op":"grayscale"}]},{"name":"b","quality":7}]}`,
	} {
		p, err := pipeline.Parse([]byte(document))
		require.NoError(t, err)
		for _, want := range []pipeline.Pipeline{p, p.Expand(func(pipeline.Format) bool { return true })} {
			b, err := known.marshal(want)
			require.NoError(t, err)
			got, err := new(documents).parse(b)
			require.NoError(t, err)
			assert.Equal(t, want, got)
			again, err := known.marshal(want)
			require.NoError(t, err)
			assert.Same(t, &b[0], &again[0], "it is known")
		}
	}
	// A caller that changes its own changes nothing that is known.
	p := pipeline.DefaultPresets()["small"]
	b, err := known.marshal(p)
	require.NoError(t, err)
	p.Renditions[0].Quality = 3
	other, err := known.marshal(p)
	require.NoError(t, err)
	assert.NotEqual(t, string(b), string(other))
	for range 2 * remembered { // the oldest are forgotten
		p.Renditions[0].Quality++
		_, err := known.marshal(p)
		require.NoError(t, err)
	}
	assert.Len(t, known.known, remembered)
}

func TestFramesAreBounded(t *testing.T) {
	require.Error(t, writeFrame(io.Discard, strings.Repeat("x", maxFrame)))
	long := failureOf(fault.Wrap(fault.Internal, "", errors.New(strings.Repeat("x", maxFrame))))
	require.NoError(t, writeFrame(io.Discard, long))
}

func TestResultsMustBeWhereTheyShould(t *testing.T) {
	for _, size := range []int64{5, atOnce + 1, copied + 1} {
		from, dir, other := t.TempDir(), t.TempDir(), t.TempDir()
		body := make([]byte, size)
		job := engine.Job{Dir: dir, Pipeline: pipeline.DefaultPresets()["small"]}
		try := func(file string, bytes int64) error {
			report := engine.Report{Renditions: []engine.Rendition{{Name: "default", File: file, Bytes: bytes}}}
			got, err := accept(job, from, reply{Report: report})
			if err == nil {
				require.Equal(t, filepath.Join(dir, filepath.Base(file)), got.Renditions[0].File)
				stat, err := os.Lstat(got.Renditions[0].File)
				require.NoError(t, err)
				require.Equal(t, size, stat.Size())
			}
			return err
		}
		for _, name := range []string{
			filepath.Join(from, "default.png"), filepath.Join(other, "default.png"), filepath.Join(from, "other.png"),
			filepath.Join(from, "default.tar.gz"), filepath.Join(from, "default."), filepath.Join(from, "default.PNG"),
			filepath.Join(dir, "original"),
		} {
			require.NoError(t, os.WriteFile(name, body, 0o600))
		}
		for _, file := range []string{
			"", "default.png", from, filepath.Join(other, "default.png"), filepath.Join(from, "other.png"),
			filepath.Join(from, "default.tar.gz"), filepath.Join(from, "default."), filepath.Join(from, "default.PNG"),
			filepath.Join(from, "default.none"), filepath.Join(dir, "original"),
		} {
			assert.True(t, engine.Died(try(file, size)), file)
		}
		for name, make := range map[string]func(string) error{
			"default.link": func(to string) error { return os.Symlink(filepath.Join(other, "default.png"), to) },
			"default.dir":  func(to string) error { return os.Mkdir(to, 0o700) },
		} {
			if make(filepath.Join(from, name)) == nil {
				assert.True(t, engine.Died(try(filepath.Join(from, name), size)), name)
			}
			_, err := os.Lstat(filepath.Join(dir, name))
			assert.True(t, os.IsNotExist(err), "nothing is left of %s", name)
		}
		require.NoError(t, try(filepath.Join(from, "default.png"), size))
		require.NoError(t, os.WriteFile(filepath.Join(from, "default.png"), body, 0o600))
		assert.True(t, engine.Died(try(filepath.Join(from, "default.png"), size-1)))
		_, err := accept(job, from, reply{})
		assert.True(t, engine.Died(err), "renditions are missing")
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

func ExampleServe() {
	// What `imagemill engine` does, but with streams instead of the line to its
	// parent, which has closed its end at once, so that Serve returns.
	err := Serve(context.Background(), NewLine(strings.NewReader(""), io.Discard), stub{}, About{})
	if err != nil {
		panic(err)
	}
	// Output:
}

// resting is an engine that tells when it is told that there is nothing to do.
type resting struct {
	stub
	told chan struct{}
}

func (r resting) Idle() { r.told <- struct{}{} }

func TestAnIdleChildGivesBack(t *testing.T) {
	document, err := write(pipeline.DefaultPresets()["small"])
	require.NoError(t, err)
	in, parent := io.Pipe()
	e := resting{stub{err: fault.New(fault.Invalid, "no")}, make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- Serve(t.Context(), NewLine(in, io.Discard), e, About{}) }()
	_, err = io.Copy(parent, frames(t, request{ID: 1, Source: "s"}, document))
	require.NoError(t, err)
	<-e.told
	_, err = io.Copy(parent, bytes.NewReader(frames(t, request{ID: 2, Source: "s"}, document).Bytes()[len(frames(t).Bytes()):]))
	require.NoError(t, err)
	<-e.told
	require.NoError(t, parent.Close())
	require.NoError(t, <-ended)
}
