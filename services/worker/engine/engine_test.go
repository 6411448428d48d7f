package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

func TestEveryKindIsFinalOrRetryable(t *testing.T) {
	final := []fault.Kind{fault.Invalid, fault.Unsupported, fault.Unprocessable, fault.TooLarge}
	for _, kind := range final {
		err := fmt.Errorf("wrapped: %w", fault.New(kind, "x"))
		assert.True(t, engine.Final(err), kind)
		assert.False(t, fault.Retryable(err), kind)
	}
	for _, err := range []error{
		fault.New(fault.Unavailable, "x"), fault.New(fault.DeadlineExceeded, "x"), fault.New(fault.StorageFull, "x"),
		fault.New(fault.Internal, "x"), errors.New("anything"), context.DeadlineExceeded, engine.Dead("x", ""),
	} {
		assert.False(t, engine.Final(err), "%v", err)
		assert.True(t, fault.Retryable(err), "%v", err)
	}
	assert.False(t, engine.Final(nil))
	assert.False(t, engine.Final(context.Canceled))
}

func TestDeathIsToldApart(t *testing.T) {
	err := fmt.Errorf("render: %w", engine.Dead("the engine crashed: exit status 2", "panic: x"))
	assert.True(t, engine.Died(err))
	assert.Equal(t, "the engine crashed: exit status 2", fault.As(err).Public)
	assert.ErrorContains(t, err, "panic: x")
	assert.False(t, engine.Died(fault.New(fault.Unavailable, "the engine crashed")))
	assert.False(t, engine.Died(nil))
	var d *engine.Death
	require.ErrorAs(t, err, &d)
	assert.Equal(t, "panic: x", d.Stderr)
	assert.Equal(t, "gone", (&engine.Death{Reason: "gone"}).Error())
}

func TestLimitsHaveDefaults(t *testing.T) {
	l := engine.Limits{Frames: 3, WallTime: -1}.WithDefaults()
	assert.Equal(t, engine.Limits{
		InputPixels: 50_000_000, InputSide: 100_000, OutputPixels: 50_000_000, Side: 16384, Frames: 3, WallTime: time.Minute,
	}, l)
}

func TestCheckInput(t *testing.T) {
	var l engine.Limits
	for _, c := range []struct {
		p    engine.Picture
		kind fault.Kind
	}{
		{engine.Picture{Width: 10_000, Height: 5_000, Frames: 1}, ""},
		{engine.Picture{Width: 500, Height: 500, Frames: 200}, ""},
		{engine.Picture{Width: 500, Height: 500, Frames: 201}, fault.TooLarge},
		{engine.Picture{Width: 10_000, Height: 5_001}, fault.TooLarge},
		{engine.Picture{Width: 50_000, Height: 50_000}, fault.TooLarge},
		{engine.Picture{Width: 1 << 31, Height: 1 << 31}, fault.TooLarge},
		{engine.Picture{Width: 1, Height: 100_001}, fault.TooLarge},
		{engine.Picture{Width: 1, Height: 1, Frames: 257}, fault.TooLarge},
		{engine.Picture{Width: 0, Height: 1}, fault.Unprocessable},
		{engine.Picture{Width: 1, Height: -1}, fault.Unprocessable},
	} {
		assert.Equal(t, c.kind, fault.KindOf(l.CheckInput("PNG", c.p)), "%+v", c.p)
	}
}

func TestCheckOutputPlansEveryRendition(t *testing.T) {
	var l engine.Limits
	p := pipeline.Pipeline{Renditions: []pipeline.Rendition{
		{Name: "a", Operations: []pipeline.Operation{pipeline.Resize{Width: 10}}},
		{Name: "b", Operations: []pipeline.Operation{pipeline.Invert{}, pipeline.Resize{Width: 16000, Height: 16000, Fit: pipeline.Pad}}},
	}}
	err := l.CheckOutput(p, engine.Picture{Width: 100, Height: 100, Orientation: 1})
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
	assert.Equal(t, "renditions[1].operations[1]", fault.As(err).Field)
	assert.Contains(t, fault.As(err).Public, "16000×16000")
	p.Renditions = p.Renditions[:1]
	assert.NoError(t, l.CheckOutput(p, engine.Picture{Width: 100, Height: 100, Orientation: 6}))
	assert.NoError(t, l.CheckOutput(p, engine.Picture{Width: 60_000, Height: 100, Orientation: 1}), "a long original may be made small")
}

// What fits the longest side may still have too many pixels, and what is wrong
// with one picture only is the picture's fault and names the operation.
func TestCheckOutputSaysWhatIsTooMuch(t *testing.T) {
	of := func(ops ...pipeline.Operation) pipeline.Pipeline {
		return pipeline.Pipeline{Renditions: []pipeline.Rendition{{Name: "a", Operations: ops}}}
	}
	small := engine.Picture{Width: 100, Height: 100, Orientation: 1}
	for _, c := range []struct {
		limits engine.Limits
		p      pipeline.Pipeline
		kind   fault.Kind
		says   string
	}{
		{engine.Limits{}, of(pipeline.Resize{Width: 8000, Height: 7000, Fit: pipeline.Pad}), fault.TooLarge, "8000×7000 pixels; at most 50 million pixels"},
		{engine.Limits{OutputPixels: 2_500_000}, of(pipeline.Resize{Width: 2000}), fault.TooLarge, "at most 2.5 million pixels"},
		{engine.Limits{OutputPixels: 9_999}, of(pipeline.Invert{}), fault.TooLarge, "at most 9999 pixels"},
		{engine.Limits{Side: 99}, of(pipeline.Invert{}), fault.TooLarge, "a side may have at most 99"},
		{engine.Limits{Side: 99, OutputPixels: 9_999}, of(pipeline.Invert{}, pipeline.Resize{Width: 99}), "", ""},
		{engine.Limits{Side: 150}, of(pipeline.Resize{Width: 151}, pipeline.Resize{Width: 10}), fault.TooLarge, "at most 150"},
		{engine.Limits{}, of(pipeline.Crop{X: new(101), Y: new(0), Width: 5, Height: 5}), fault.Unprocessable, ""},
	} {
		err := c.limits.CheckOutput(c.p, small)
		require.Equal(t, c.kind, fault.KindOf(err), "%+v: %v", c, err)
		if err != nil {
			assert.Contains(t, fault.As(err).Public, c.says)
			assert.Contains(t, fault.As(err).Field, "renditions[0].operations[0]")
			assert.True(t, engine.Final(err))
		}
	}
}

func ExampleFinal() {
	for _, err := range []error{
		fault.New(fault.Unprocessable, "the JPEG ends before the picture is complete"),
		engine.Dead("the engine was killed after 1m0s", ""),
	} {
		fmt.Printf("%s: final %t, died %t\n", fault.As(err).Public, engine.Final(err), engine.Died(err))
	}
	// Output:
	// the JPEG ends before the picture is complete: final true, died false
	// the engine was killed after 1m0s: final false, died true
}
