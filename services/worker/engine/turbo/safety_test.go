//go:build vips

package turbo

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/header"
	"imagemill/services/worker/engine/imaging"
	"imagemill/services/worker/engine/plan"
)

// try renders without minding how, and checks that all memory came back.
func try(t testing.TB, ctx context.Context, original []byte, p pipeline.Pipeline) error {
	t.Helper()
	return tryIn(t, ctx, t.TempDir(), original, p)
}

// tryIn is try in a folder that is used again and again.
func tryIn(t testing.TB, ctx context.Context, dir string, original []byte, p pipeline.Pipeline) error {
	t.Helper()
	file := filepath.Join(dir, "original")
	require.NoError(t, os.WriteFile(file, original, 0o600))
	info, err := header.Open(file, 1)
	if err != nil {
		return err
	}
	pl, err := plan.Make(p, info.Picture, abilities())
	if err != nil {
		return err
	}
	for i := range pl.Steps {
		pl.Steps[i].Fast = true
	}
	before := live()
	_, err = Render(ctx, engine.Job{Source: file, Dir: dir, Pipeline: p}, info.Picture, pl, 2)
	require.Equal(t, before, live(), "memory was not given back")
	return err
}

// patched replaces the first occurrence of a marker's two bytes and what follows.
func patched(t testing.TB, original []byte, old, new string) []byte {
	t.Helper()
	require.True(t, bytes.Contains(original, []byte(old)))
	return bytes.Replace(original, []byte(old), []byte(new), 1)
}

func TestNotFast(t *testing.T) {
	p := widths([]pipeline.Format{pipeline.JPEG}, 0, 20)
	plain := jpegOf(t, texture(64, 48), kinds["444"])
	rgb := append([]byte("\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"), plain[2+18:]...) // without JFIF
	cmyk := []byte("\xff\xd8\xff\xc0\x00\x14\x08\x00\x30\x00\x40\x04\x01\x11\x00\x02\x11\x00\x03\x11\x00\x04\x11\x00\xff\xda\x00\x0e\x04\x01\x00\x02\x00\x03\x00\x04\x00\x00\x3f\x00\x00\xff\xd9")
	for name, original := range map[string][]byte{
		"RGB": rgb, "CMYK": cmyk,
		"12 bits":    patched(t, plain, "\xff\xc0\x00\x11\x08", "\xff\xc1\x00\x11\x0c"),
		"arithmetic": patched(t, plain, "\xff\xc0\x00\x11", "\xff\xc9\x00\x11"),
		"lossless":   patched(t, plain, "\xff\xc0\x00\x11", "\xff\xc3\x00\x11"),
	} {
		file := fileOf(t, original)
		picture := engine.Picture{Format: "jpeg", Width: 64, Height: 48, Orientation: 1, Frames: 1}
		pl := plan.Plan{Steps: []plan.Step{{From: plan.Original, Fast: true}}}
		_, err := Render(t.Context(), engine.Job{Source: file, Dir: t.TempDir(), Pipeline: p}, picture, pl, 1)
		assert.True(t, IsNotFast(err), "%s: %v", name, err)
	}
	for _, r := range []string{
		`{"name":"a","format":"png"}`, `{"name":"a","format":"webp","lossless":true}`, `{"name":"a","format":"jpeg","quality":"auto"}`,
		`{"name":"a","format":"jpeg","metadata":"keep"}`, `{"name":"a","format":"jpeg","profile":"p3"}`,
		`{"name":"a","format":"jpeg","operations":[{"op":"rotate","angle":10}]}`,
		`{"name":"a","format":"jpeg","operations":[{"op":"invert"}]}`,
		`{"name":"a","format":"jpeg","operations":[{"op":"resize","width":10,"height":10,"fit":"cover","gravity":"entropy"}]}`,
		`{"name":"a","format":"jpeg","operations":[{"op":"resize","width":10,"height":10,"fit":"pad"}]}`,
		`{"name":"a","format":"jpeg","operations":[{"op":"resize","width":20,"height":10,"fit":"pad","background":"#112233"},{"op":"resize","width":9}]}`,
		`{"name":"a","format":"jpeg","operations":[{"op":"resize","width":10},{"op":"resize","width":40}]}`,
		`{"name":"a","format":"webp","operations":[{"op":"resize","width":16384,"height":20,"fit":"stretch"}]}`,
	} {
		err := try(t, t.Context(), plain, one(t, r))
		assert.True(t, IsNotFast(err), "%s: %v", r, err)
	}
	grey := jpegOf(t, texture(64, 48), kinds["gray"])
	err := try(t, t.Context(), grey, one(t, `{"name":"a","format":"jpeg","operations":[{"op":"resize","width":20,"height":20,"fit":"pad","background":"#112233"}]}`))
	assert.True(t, IsNotFast(err), "%v", err)
}

// What the pure Go engine refuses for its damage is refused here.
func TestTruncated(t *testing.T) {
	p := widths([]pipeline.Format{pipeline.JPEG, pipeline.WebP}, 0, 50, 20)
	for name, k := range kinds {
		original := jpegOf(t, texture(301, 203), k)
		for _, keep := range []int{len(original) - 1, len(original) - 2, len(original) - 100, len(original) / 2, len(original) / 3} {
			err := try(t, t.Context(), original[:keep], p)
			require.Equal(t, fault.Unprocessable, fault.KindOf(err), "%s cut to %d of %d: %v", name, keep, len(original), err)
			assert.Contains(t, fault.As(err).Public, "the JPEG ends before the picture is complete")
			ended := append(bytes.Clone(original[:keep-2]), 0xff, 0xd9)
			if err := try(t, t.Context(), ended, p); keep < len(original)-2 {
				assert.Equal(t, fault.Unprocessable, fault.KindOf(err), "%s cut to %d and ended: %v", name, keep, err)
			}
		}
	}
}

// Rubbish before the end and after it does no harm.
func TestRubbishIsTolerated(t *testing.T) {
	p := widths([]pipeline.Format{pipeline.JPEG}, 0, 50)
	original := jpegOf(t, texture(301, 203), kinds["420"])
	assert.NoError(t, try(t, t.Context(), append(bytes.Clone(original), "rubbish after the end"...), p))
	end := len(original) - 2
	assert.NoError(t, try(t, t.Context(), append(append(bytes.Clone(original[:end]), 1, 2, 3), original[end:]...), p))
}

// Every byte changed once: no crash, no leak, and only errors that have a kind.
func TestChangedBytes(t *testing.T) {
	p := widths([]pipeline.Format{pipeline.JPEG, pipeline.WebP}, 0, 30)
	dir := t.TempDir()
	for _, k := range []string{"420", "progressive", "gray"} {
		original := jpegOf(t, texture(97, 61), kinds[k])
		step := 1
		if testing.Short() {
			step = 17
		}
		for i := 2; i < len(original); i += step {
			changed := bytes.Clone(original)
			changed[i] ^= byte(1 << (i % 8))
			if err := tryIn(t, t.Context(), dir, changed, p); err != nil && !IsNotFast(err) {
				require.True(t, engine.Final(err), "%s, byte %d: %v", k, i, err)
			}
		}
	}
}

func TestTooManyScans(t *testing.T) {
	p := widths([]pipeline.Format{pipeline.JPEG}, 0, 50)
	original := jpegOf(t, texture(301, 203), kinds["progressive"])
	first := bytes.Index(original, []byte("\xff\xda"))
	end := first + bytes.Index(original[first:], []byte("\xff\xc4"))
	bomb := append(bytes.Clone(original[:end]), bytes.Repeat(original[first:end], 200)...)
	err := try(t, t.Context(), append(bomb, original[end:]...), p)
	require.Equal(t, fault.TooLarge, fault.KindOf(err), "%v", err)
	assert.Contains(t, fault.As(err).Public, "scans")
}

func TestDecoderHasItsMemoryLimited(t *testing.T) {
	c, stop := begin(t.Context())
	defer stop()
	f, err := os.Open(fileOf(t, jpegOf(t, texture(1200, 900), kinds["progressive"])))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	s, err := open(c, f, 1<<20)
	require.NoError(t, err)
	defer s.close()
	err = s.decode(c, 1, blocks(s.head, 1, sampling{2, 2}), nil, nil)
	assert.Equal(t, fault.TooLarge, fault.KindOf(err), "%v", err)
}

func TestDoneContextEndsTheWork(t *testing.T) {
	p := widths([]pipeline.Format{pipeline.JPEG, pipeline.WebP}, 0, 700, 300)
	original := jpegOf(t, texture(1200, 900), kinds["420"])
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Equal(t, fault.Canceled, fault.KindOf(try(t, ctx, original, p)))
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	assert.Equal(t, fault.DeadlineExceeded, fault.KindOf(try(t, late, original, p)))
}

// Whichever allocation fails, the rest is given back.
func TestEveryAllocationMayFail(t *testing.T) {
	defer failAfter(-1)
	p := one(t, `{"name":"a","format":"jpeg","operations":[{"op":"resize","width":200}]},
		{"name":"b","format":"webp","operations":[{"op":"resize","width":80}]},
		{"name":"c","format":"jpeg","operations":[{"op":"rotate","angle":90}]}`)
	original := jpegOf(t, texture(701, 517), kinds["420"])
	for n := 0; ; n++ {
		failAfter(n)
		err := try(t, t.Context(), original, p)
		if err == nil {
			assert.Greater(t, n, 20)
			return
		}
		require.Equal(t, fault.Unavailable, fault.KindOf(err), "allocation %d: %v", n, err)
	}
}

func TestSizesMustBeThoseOfTheHeader(t *testing.T) {
	file := fileOf(t, jpegOf(t, texture(64, 48), kinds["420"]))
	picture := engine.Picture{Format: "jpeg", Width: 65, Height: 48, Orientation: 1, Frames: 1}
	pl := plan.Plan{Steps: []plan.Step{{From: plan.Original, Fast: true}}}
	p := widths([]pipeline.Format{pipeline.JPEG}, 0, 20)
	_, err := Render(t.Context(), engine.Job{Source: file, Dir: t.TempDir(), Pipeline: p}, picture, pl, 1)
	assert.Equal(t, fault.Unprocessable, fault.KindOf(err))
	_, err = Render(t.Context(), engine.Job{Source: file + "x", Dir: t.TempDir(), Pipeline: p}, picture, pl, 1)
	assert.Equal(t, fault.Unavailable, fault.KindOf(err))
}

// All hostile JPEGs: no crash, no leak; what is rendered here, the pure Go
// engine renders too, but for the few in which Go is the stricter one.
func TestHostile(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(enginetest.Shared(t, "hostile"), "*.jpeg"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	p := widths([]pipeline.Format{pipeline.JPEG, pipeline.WebP}, 1, 100, 30)
	count := map[string]int{}
	for _, f := range files {
		original, err := os.ReadFile(f)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		err = try(t, ctx, original, p)
		cancel()
		kind := string(fault.KindOf(err))
		if IsNotFast(err) {
			kind = "not fast"
		}
		_, other := imaging.New().Render(t.Context(), engine.Job{Source: f, Dir: t.TempDir(), Pipeline: widths([]pipeline.Format{pipeline.JPEG}, 0, 30)})
		count["here "+kind+", imaging "+string(fault.KindOf(other))]++
		if kind != "not fast" && (err == nil) != (other == nil) {
			t.Logf("%s: here %v, imaging %v", filepath.Base(f), err, other)
		}
		if err != nil && !IsNotFast(err) {
			assert.True(t, engine.Final(err), "%s: %v", f, err)
		}
	}
	t.Log(count)
}
