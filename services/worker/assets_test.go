package worker

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
	"imagemill/services/worker/engine"
)

// marked is a pipeline with one watermark.
func marked(image, rendition string) string {
	if rendition != "" {
		rendition = fmt.Sprintf(`,"rendition":%q`, rendition)
	}
	return fmt.Sprintf(`{"renditions":[{"format":"png","operations":[{"op":"watermark","image":%q%s}]}]}`, image, rendition)
}

func TestWatermarkImagesAreFetchedForTheEngine(t *testing.T) {
	got := make(chan map[string]string, 2)
	m := newMill(t, render(func(ctx context.Context, job engine.Job) (engine.Report, error) {
		read := map[string]string{}
		for key, file := range job.Assets {
			b, err := os.ReadFile(file)
			if err != nil {
				return engine.Report{}, err
			}
			read[key] = string(b)
		}
		got <- read
		return paint(ctx, job)
	}), nil)
	mark := m.upload(t, []byte("the mark"), document)
	m.carryOut(t.Context(), m.claimAny(t))
	require.Empty(t, receive(t, got))
	m.upload(t, []byte("original"), marked(mark, "b"))
	m.carryOut(t.Context(), m.claimAny(t))
	require.Equal(t, map[string]string{mark + "/b": "the mark"}, receive(t, got))
	m.upload(t, []byte("original"), marked(mark, ""))
	m.carryOut(t.Context(), m.claimAny(t))
	require.Equal(t, map[string]string{mark + "/": "the mark"}, receive(t, got), "its first rendition")
}

func TestWatermarkImagesThatAreNotToBeHad(t *testing.T) {
	const unknown = "01890a5d-ac96-774b-bcce-b302099a8057"
	for name, c := range map[string]struct {
		// prepare gives the image and the rendition that are asked for.
		prepare   func(*testing.T, *mill) (image, rendition string)
		says      string
		retryable bool
	}{
		"missing": {func(*testing.T, *mill) (string, string) { return unknown, "" },
			"the watermark image " + unknown + " does not exist", false},
		"no ID at all": {func(*testing.T, *mill) (string, string) { return "logo", "" },
			"the watermark image logo does not exist", false},
		"no such rendition": {func(t *testing.T, m *mill) (string, string) {
			t.Helper()
			id := m.upload(t, []byte("mark"), document)
			m.carryOut(t.Context(), m.claimAny(t))
			return id, "c"
		}, `has no rendition "c"`, false},
		"in progress": {func(t *testing.T, m *mill) (string, string) {
			t.Helper()
			id := m.upload(t, []byte("mark"), document)
			m.claimAny(t)
			return id, ""
		}, "is not finished yet", true},
		"cancelled": {func(t *testing.T, m *mill) (string, string) {
			t.Helper()
			id := m.upload(t, []byte("mark"), document)
			_, err := m.tasks.Cancel(t.Context(), id)
			require.NoError(t, err)
			return id, ""
		}, "is cancelled", false},
		"failed": {func(t *testing.T, m *mill) (string, string) {
			t.Helper()
			id := m.upload(t, []byte("mark"), document)
			_, err := m.tasks.Fail(t.Context(), id, taskdb.Failure{Attempt: m.claimAny(t).Attempt, Reason: "no"})
			require.NoError(t, err)
			return id, ""
		}, "could not be processed itself", false},
		"too large": {func(t *testing.T, m *mill) (string, string) {
			t.Helper()
			id := m.upload(t, []byte(strings.Repeat("x", assetBytes+1)), document)
			m.carryOut(t.Context(), m.claimAny(t))
			return id, ""
		}, "at most 33554432 are allowed", false},
		"the master is away": {func(_ *testing.T, m *mill) (string, string) {
			m.master.get = func() error { return fault.New(fault.Unavailable, "no imagemaster can be reached") }
			return unknown, ""
		}, "no imagemaster can be reached", true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMill(t, render(paint), nil)
			image, rendition := c.prepare(t, m)
			m.upload(t, []byte("original"), marked(image, rendition))
			m.carryOut(t.Context(), m.claimAny(t))
			told := m.master.failures()
			require.Len(t, told, 1)
			require.Contains(t, told[0].Reason, c.says)
			require.Equal(t, c.retryable, told[0].Retryable)
		})
	}
}

func TestAPipelineWithTooManyWatermarksIsRefused(t *testing.T) {
	var ops []string
	for i := range mostAssets + 1 {
		ops = append(ops, fmt.Sprintf(`{"op":"watermark","image":"i%d"}`, i))
	}
	m := newMill(t, render(paint), nil)
	m.upload(t, []byte("original"), `{"renditions":[{"operations":[`+strings.Join(ops, ",")+`]}]}`)
	told := m.failed(t, m.claimAny(t))
	require.False(t, told.Retryable)
	require.Contains(t, told.Reason, "asks for 17 watermark images; at most 16 are allowed")
}

// Get lets a test refuse a download.
func (m *masterStub) Get(ctx context.Context, id, rendition string, span storage.Span) (imagemaster.Image, error) {
	if m.get != nil {
		if err := m.get(); err != nil {
			return imagemaster.Image{}, err
		}
	}
	return m.Master.Get(ctx, id, rendition, span)
}
