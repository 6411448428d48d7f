package main

import (
	"encoding/json"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/cmd/internal/engines"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// photo is a JPEG of a size in a file.
func photo(t *testing.T, w, h int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "photo.jpg")
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, jpeg.Encode(f, image.NewRGBA(image.Rect(0, 0, w, h)), nil))
	require.NoError(t, f.Close())
	return path
}

func TestExplainTellsAPlan(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pipeline.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"renditions":[
		{"name":"small","operations":[{"op":"resize","width":40}]},
		{"name":"large","format":"png","operations":[{"op":"resize","width":160}]}]}`), 0o600))
	got, err := tool(t, "", "explain", "--pipeline", file, photo(t, 320, 240))
	require.NoError(t, err)
	for _, line := range []string{
		`photo\.jpg: +jpeg 320×240, 3 bands of 8 bits, chroma 420`, `decoded: +\d+×\d+`, `memory: +about \d+ MiB`,
		`1 +large +160×120 +png +original `, `2 +small +40×30 +same +`,
	} {
		require.Regexp(t, line, got)
	}
	got, err = tool(t, "", "explain", "--json", "--query", "width=80&format=png", photo(t, 320, 240))
	require.NoError(t, err)
	var e explanation
	require.NoError(t, json.Unmarshal([]byte(got), &e))
	require.Equal(t, 320, e.Original.Width)
	require.Equal(t, []string{"default"}, e.Renditions)
	require.Equal(t, 80, e.Plan.Steps[0].Width)
	require.Positive(t, e.Plan.Memory)
	_, err = tool(t, "", "explain", photo(t, 8, 8))
	require.NoError(t, err, "no pipeline: encoded anew")
}

func TestExplainSaysWhichStepsAreFast(t *testing.T) {
	p, err := pipeline.Parse([]byte(`{"renditions":[{"name":"a","format":"auto","operations":[{"op":"resize","width":40}]}]}`))
	require.NoError(t, err)
	can := engine.Abilities{Engine: "native", In: []string{"jpeg"}, Out: []pipeline.Format{pipeline.JPEG, pipeline.WebP, pipeline.AVIF}, Shrinks: []string{"jpeg"}, Fast: true}
	e, err := explain(p, photo(t, 320, 240), can)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "a.webp", "a.avif"}, e.Renditions)
	var out output
	require.NoError(t, e.write(&out))
	require.Regexp(t, `decoded: +40×30, 1/8 of its size`, out.String())
	require.Regexp(t, `a\.webp +40×30 +webp +original +fast`, out.String())
	require.Regexp(t, `a\.avif +40×30 +avif +original +vips: the result is avif`, out.String())
}

func TestExplainRefuses(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("not a picture, nor a pipeline"), 0o600))
	picture := photo(t, 8, 8)
	refused := map[string][]string{
		"no such file":                 {filepath.Join(t.TempDir(), "missing")},
		"not a picture that is known":  {text},
		"is not JSON":                  {"--pipeline", text, picture},
		"names no operation":           {"--query", "&", picture},
		"wdth":                         {"--query", "wdth=8", picture},
		"cannot be written here":       {"--query", "format=jxl", picture},
		"lies outside of the picture":  {"--query", "crop=100x100@50,50", picture},
		"none of the others can be":    {"--query", "width=8", "--pipeline", text, picture},
		"accepts 1 arg(s), received 0": {},
	}
	if engines.Native { // most builds of libvips can
		delete(refused, "cannot be written here")
	}
	for says, args := range refused {
		_, err := tool(t, "", append([]string{"explain"}, args...)...)
		require.ErrorContains(t, err, says)
	}
}
