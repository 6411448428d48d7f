package pipeline_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
)

func TestExpandMakesTheSetThatCanBeWritten(t *testing.T) {
	p, err := pipeline.Parse([]byte(`{"renditions":[` +
		`{"name":"a","format":"auto","progressive":true,"chroma":"444","quality":70,"operations":[{"op":"invert"}]},` +
		`{"name":"b","format":"png"},{"name":"c","format":"auto","animated":true}]}`))
	require.NoError(t, err)
	names := func(p pipeline.Pipeline) (out []string) {
		for _, r := range p.Renditions {
			out = append(out, r.Name+" "+string(r.Format))
		}
		return out
	}
	all := p.Expand(func(pipeline.Format) bool { return true })
	assert.Equal(t, []string{"a auto", "a.webp webp", "a.avif avif", "b png", "c auto", "c.webp webp"}, names(all))
	assert.Equal(t, []string{"a auto", "b png", "c auto"}, names(p), "p is left as it is")
	assert.Equal(t, []string{"a auto", "a.avif avif", "b png", "c auto"}, names(p.Expand(func(f pipeline.Format) bool { return f == pipeline.AVIF })))
	assert.Equal(t, p, p.Expand(func(pipeline.Format) bool { return false }))

	webp, avif := all.Renditions[1], all.Renditions[2]
	assert.Equal(t, pipeline.Rendition{Name: "a.webp", Format: pipeline.WebP, Quality: 70, Operations: p.Renditions[0].Operations}, webp)
	assert.Equal(t, pipeline.Chroma444, avif.Chroma)
	assert.False(t, avif.Progressive)
	assert.True(t, all.Renditions[5].Animated)
}

// As many as a document may have still go to an engine's process and back.
func TestTheLargestExpansionIsReadBack(t *testing.T) {
	var p pipeline.Pipeline
	for i := range pipeline.MaxRenditions {
		p.Renditions = append(p.Renditions, pipeline.Rendition{Name: string([]byte{'a' + byte(i%26), 'a' + byte(i/26)}), Format: pipeline.Auto})
	}
	all := p.Expand(func(pipeline.Format) bool { return true })
	require.Len(t, all.Renditions, 3*pipeline.MaxRenditions)
	b, err := json.Marshal(all)
	require.NoError(t, err)
	var back pipeline.Pipeline
	require.NoError(t, json.Unmarshal(b, &back))
	assert.Equal(t, all.Renditions, back.Renditions)
	p.Renditions = append(p.Renditions, pipeline.Rendition{Name: "one-more"})
	assert.ErrorContains(t, p.Validate(), "there are 33")
}
