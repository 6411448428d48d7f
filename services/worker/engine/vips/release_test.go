//go:build vips

package vips

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
)

// Every picture of libvips is let go exactly once, whatever becomes of a job:
// as many blocks are held after a thousand renders as before.
func TestNothingIsHeldAfterRenders(t *testing.T) {
	e, err := New()
	require.NoError(t, err)
	dir := t.TempDir()
	photo := enginetest.JPEG(t, enginetest.Quadrants(300, 200), 6)
	originals := [][]byte{
		photo, photo[:len(photo)/2], enginetest.PNG(t, enginetest.Quadrants(120, 80)), enginetest.Animation(t, 4),
		enginetest.PNG(t, enginetest.Quadrants(300, 200))[:500], []byte("no picture"),
	}
	var paths []string
	for i, b := range originals {
		paths = append(paths, filepath.Join(dir, string(rune('a'+i))))
		require.NoError(t, os.WriteFile(paths[i], b, 0o600))
	}
	documents := []string{
		`{"renditions":[{"name":"a","operations":[{"op":"resize","width":100}]},{"name":"b","format":"webp","operations":[{"op":"resize","width":40}]}]}`,
		`{"renditions":[{"format":"png","operations":[{"op":"rotate","angle":10},{"op":"blur","sigma":1},{"op":"sharpen","sigma":1},{"op":"hue","degrees":40}]}]}`,
		`{"renditions":[{"format":"png","operations":[{"op":"crop","width":5,"height":5,"x":250,"y":0}]}]}`,
		`{"renditions":[{"format":"gif","animated":true,"operations":[{"op":"resize","width":9,"height":9,"fit":"pad","background":"#10203080"}]}]}`,
		`{"describe":["colors"],"renditions":[{"format":"jpeg","quality":"auto","operations":[{"op":"resize","width":60,"height":60,"fit":"cover","gravity":"attention"},{"op":"text","text":"a"},{"op":"trim"}]}]}`,
		`{"renditions":[{"format":"jpeg","maxBytes":1000,"profile":"p3","metadata":"copyright"}]}`,
	}
	var pipelines []pipeline.Pipeline
	for _, d := range documents {
		p, err := pipeline.Parse([]byte(d))
		require.NoError(t, err, d)
		pipelines = append(pipelines, p)
	}
	failed := 0
	round := func(n int) {
		for i := range n {
			_, err := e.Render(t.Context(), engine.Job{Source: paths[i%len(paths)], Dir: dir, Pipeline: pipelines[(i/len(paths))%len(pipelines)]})
			if err != nil {
				require.NotEmpty(t, err.Error())
				failed++
			}
		}
	}
	round(2 * len(paths) * len(pipelines)) // what libvips makes once and keeps
	before, files := allocations(), openFiles(t)
	round(1000)
	require.Equal(t, before, allocations())
	require.Equal(t, files, openFiles(t))
	require.Greater(t, failed, 300)
	require.Less(t, failed, 800)
}

func openFiles(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(list)
}

func TestOldVersionsAreRefused(t *testing.T) {
	require.NoError(t, acceptable(8, 13, 0))
	require.NoError(t, acceptable(8, 16, 1))
	require.NoError(t, acceptable(9, 0, 0))
	require.ErrorContains(t, acceptable(8, 12, 2), "libvips 8.12.2 is too old: 8.13 or newer is needed")
	require.Error(t, acceptable(7, 42, 0))
	require.Regexp(t, `^8\.\d+\.\d+$`, Version())
}
