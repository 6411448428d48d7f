package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/sandbox"
)

// stream puts frames one behind the other.
func stream(t testing.TB, values ...any) []byte {
	t.Helper()
	var b []byte
	for _, v := range values {
		var err error
		b, err = appendFrame(b, v)
		require.NoError(t, err)
	}
	return b
}

// FuzzParent feeds the parent what a child that was taken over may send: a
// greeting, then answers. Nothing that it says may move a file from elsewhere, be
// taken for a result of another number, or end the parent.
func FuzzParent(f *testing.F) {
	from, dir := f.TempDir(), f.TempDir()
	good := reply{ID: 1, Report: engine.Report{Engine: "x", Renditions: []engine.Rendition{
		{Name: "default", File: filepath.Join(from, "default.png"), Bytes: 3},
	}}}
	f.Add(stream(f, hello{Protocol: protocol, Sandbox: []sandbox.State{{Feature: sandbox.Seccomp, Active: true}}}, good))
	f.Add(stream(f, hello{}, reply{ID: 1, Failure: &failure{Kind: fault.Invalid, Public: "x", Field: "a", Cause: "b"}}))
	good.Report.Renditions[0].File = "/etc/passwd"
	f.Add(stream(f, hello{Protocol: protocol}, good))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x02{}\x00\x00\x00\x0a{\"report\":1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.NewReader(b)
		var h hello
		if readFrame(in, &h) != nil {
			return
		}
		_ = sandbox.Lacks(h.Sandbox)
		_ = join(sandbox.Missing(h.Sandbox))
		for {
			var r reply
			if err := readFrame(in, &r); err != nil {
				require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errRubbish), "%v", err)
				return
			}
			job := engine.Job{Dir: dir, Pipeline: pipeline.DefaultPresets()["small"]}
			report, err := accept(job, from, r)
			require.Error(t, err, "there is no result in the folder: %+v", report)
			require.NotEmpty(t, fault.As(err).Error())
		}
	})
}

// FuzzChild feeds a child what may come down its line. It answers every request
// that makes sense once, with its number, and ends without a crash.
func FuzzChild(f *testing.F) {
	document, err := write(pipeline.DefaultPresets()["small"])
	require.NoError(f, err)
	first := setup{Protocol: protocol, Dir: "d", Sandbox: sandbox.Config{None: true}}
	f.Add(stream(f, request{ID: 1, Source: "s"}, document))
	f.Add(stream(f, request{ID: 1, Source: "s", Limits: engine.Limits{Side: 9}}, document, request{ID: 2, Files: 1}, document))
	f.Add(stream(f, request{ID: 1, Keys: []string{"a"}, Assets: map[string]string{"a": "b"}}, document, document))
	f.Add(stream(f, request{}, []byte(`[{"name":"a","document":{"renditions":[{"operations":[{"op":"dream"}]}]}}]`)))
	f.Add([]byte("\x00\x00\x00\x02{}\x00\x10\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var out bytes.Buffer
		in := append(stream(t, first), b...)
		asked := &counting{}
		err := Serve(t.Context(), NewLine(bytes.NewReader(in), &out), asked, About{})
		if err != nil {
			require.True(t, errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errRubbish), "%v", err)
		}
		var h hello
		require.NoError(t, readFrame(&out, &h))
		answers := 0
		for ; ; answers++ {
			var r reply
			if err := readFrame(&out, &r); err != nil {
				require.ErrorIs(t, err, io.EOF)
				break
			}
		}
		require.Equal(t, asked.n, answers)
	})
}

// counting is an engine that counts; what it is given is valid.
type counting struct {
	n int
}

func (c *counting) Render(_ context.Context, job engine.Job) (engine.Report, error) {
	c.n++
	if err := job.Pipeline.Validate(); err != nil {
		panic(err)
	}
	return engine.Report{}, fault.New(fault.Invalid, "counted")
}
