package pipeline_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
)

func TestQueryGivesOneRendition(t *testing.T) {
	for query, want := range map[string]string{
		"width=800&height=600&fit=cover&format=jpg&quality=80": `{"name":"default","operations":[{"op":"resize","width":800,"height":600,"fit":"cover"}],"format":"jpeg","quality":80}`,
		"fit=fill&height=2&width=1&gravity=north":              `{"name":"default","operations":[{"op":"resize","width":1,"height":2,"fit":"cover","gravity":"north"}]}`,
		"fit=fit&width=1&noEnlarge":                            `{"name":"default","operations":[{"op":"resize","width":1,"fit":"contain","noEnlarge":true}]}`,
		"width=1&noEnlarge=false":                              `{"name":"default","operations":[{"op":"resize","width":1,"fit":"contain"}]}`,
		"fit=pad&width=3&height=3&background=FFf":              ``,
		"fit=pad&width=3&height=3&background=FFffFF":           `{"name":"default","operations":[{"op":"resize","width":3,"height":3,"fit":"pad","background":"#ffffff"}],"background":"#ffffff"}`,
		"crop=4x5@6,7&autoOrient=0":                            `{"name":"default","autoOrient":false,"operations":[{"op":"crop","width":4,"height":5,"x":6,"y":7}]}`,
		"sharpen=1&blur=2&swap=rb&invert&grayscale=1&hue=3&saturation=4&gamma=5&contrast=6&brightness=7&flip=hv&rotate=90&width=9&crop=4x5&gravity=west": `{"name":"default","operations":[` +
			`{"op":"crop","width":4,"height":5,"gravity":"west"},{"op":"resize","width":9,"fit":"contain"},{"op":"rotate","angle":90},` +
			`{"op":"flip","horizontal":true,"vertical":true},{"op":"brightness","percent":7},{"op":"contrast","percent":6},{"op":"gamma","value":5},` +
			`{"op":"saturation","percent":4},{"op":"hue","degrees":3},{"op":"grayscale"},{"op":"invert"},{"op":"swapRedBlue"},{"op":"blur","sigma":2},{"op":"sharpen","sigma":1}]}`,
		"format=png": `{"name":"default","format":"png"}`,
	} {
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		p, given, err := pipeline.FromQuery(values)
		if want == "" {
			assert.Error(t, err, query)
			continue
		}
		require.NoError(t, err, query)
		assert.True(t, given)
		out, err := json.Marshal(p)
		require.NoError(t, err)
		assert.Equal(t, `{"version":1,"renditions":[`+want+`]}`, string(out), query)
	}
}

func TestQueryWithoutParametersIsNotGiven(t *testing.T) {
	p, given, err := pipeline.FromQuery(url.Values{"preset": {"small"}, "wait": {"1s", "2s"}}, "preset", "wait")
	require.NoError(t, err)
	assert.False(t, given)
	assert.True(t, p.Empty())
}

func TestWrongQueriesNameTheParameter(t *testing.T) {
	for _, c := range []struct{ query, path, says string }{
		{"widht=5", "widht", "allowed is"},
		{"width=5&width=6", "width", "2 times"},
		{"width=", "width", "empty"},
		{"width=abc", "width", "whole number"},
		{"width=-5", "width", "1 to 16384"},
		{"width=0", "width", "must be given"},
		{"height=99999", "height", "1 to 16384"},
		{"width=5&fit=cover", "height", "needs width and height"},
		{"width=5&fit=zoom", "fit", "contain"},
		{"fit=cover", "fit", "without width"},
		{"noEnlarge", "noEnlarge", "without width"},
		{"width=5&noEnlarge=maybe", "noEnlarge", "true or false"},
		{"width=5&gravity=north", "gravity", "no meaning"},
		{"gravity=north&crop=5x5@1,1", "gravity", "no meaning"},
		{"crop=5x5&gravity=up", "gravity", "northeast"},
		{"crop=5", "crop", "WIDTHxHEIGHT"},
		{"crop=0x5", "crop", "1 to 16384"},
		{"crop=5x5@999999,0", "crop", "0 to 100000"},
		{"rotate=NaN", "rotate", "-360 to 360"},
		{"rotate=20&background=red", "background", "#rrggbb"},
		{"flip=x", "flip", "h, v or hv"},
		{"swap=rg", "swap", "rb"},
		{"blur=0", "blur", "0.1 to 100"},
		{"sharpen=1e999", "sharpen", "number"},
		{"gamma=0", "gamma", "0.1 to 10"},
		{"format=bmp", "format", "jpeg, png, gif"},
		{"quality=0", "quality", "1 to 100"},
		{"quality=101", "quality", "1 to 100"},
	} {
		values, err := url.ParseQuery(c.query)
		require.NoError(t, err)
		_, _, err = pipeline.FromQuery(values, "preset")
		var e *pipeline.Error
		if !assert.True(t, errors.As(err, &e), "%s: %v", c.query, err) {
			continue
		}
		assert.Equal(t, c.path, e.Path, "%s: %s", c.query, e.Message)
		assert.Contains(t, e.Message, c.says, c.query)
	}
}

func FuzzFromQuery(f *testing.F) {
	f.Add("width=800&height=600&fit=cover&format=png&quality=80&gravity=west")
	f.Add("crop=4x5@6,7&rotate=-12.5&background=ff0000&flip=hv&swap=rb")
	f.Add("blur=1&sharpen=2&hue=3&gamma=1&autoOrient=false&invert")
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		p, given, err := pipeline.FromQuery(values)
		if err != nil {
			var e *pipeline.Error
			require.ErrorAs(t, err, &e)
			return
		}
		require.Equal(t, given, !p.Empty())
		if given {
			checkCanonical(t, p)
		}
	})
}
