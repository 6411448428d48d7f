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

// goodQueries are queries with the rendition that they stand for; "" for a wrong one.
func goodQueries() map[string]string {
	return map[string]string{
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
		"format=png":             `{"name":"default","format":"png"}`,
		"percent=50&noEnlarge=1": `{"name":"default","operations":[{"op":"resize","percent":50,"fit":"contain","noEnlarge":true}]}`,
		"megapixels=0.5":         `{"name":"default","operations":[{"op":"resize","megapixels":0.5,"fit":"contain"}]}`,
		"width=9&dpr=2":          `{"name":"default","operations":[{"op":"resize","width":9,"dpr":2,"fit":"contain"}]}`,
		"width=9&height=9&fit=cover&gravity=attention": `{"name":"default","operations":[{"op":"resize","width":9,"height":9,"fit":"cover","gravity":"attention"}]}`,
		"width=9&height=9&fit=cover&fp=0.25,1":         `{"name":"default","focalPoint":{"x":0.25,"y":1},"operations":[{"op":"resize","width":9,"height":9,"fit":"cover","gravity":"focus"}]}`,
		"crop=9x9&gravity=focus&fp=0,0":                `{"name":"default","focalPoint":{"x":0,"y":0},"operations":[{"op":"crop","width":9,"height":9,"gravity":"focus"}]}`,
		"trim":                                         `{"name":"default","operations":[{"op":"trim","threshold":10}]}`,
		"trim=0":                                       `{"name":"default","operations":[{"op":"trim","threshold":0}]}`,
		"trim=20,FFffff":                               `{"name":"default","operations":[{"op":"trim","threshold":20,"background":"#ffffff"}]}`,
		"trim=false&invert":                            `{"name":"default","operations":[{"op":"invert"}]}`,
		"extend=1,0,3,4&background=ffffff":             `{"name":"default","operations":[{"op":"extend","top":1,"bottom":3,"left":4,"background":"#ffffff"}],"background":"#ffffff"}`,
		"sepia&tint=ff8800&pixelate=5&extract=red":     `{"name":"default","operations":[{"op":"sepia","percent":100},{"op":"tint","color":"#ff8800"},{"op":"extractChannel","channel":"red"},{"op":"pixelate","size":5}]}`,
		"sepia=1":                                      `{"name":"default","operations":[{"op":"sepia","percent":1}]}`,
		"sepia=false&round=12":                         `{"name":"default","operations":[{"op":"roundCorners","radius":12}]}`,
		"round=12.5%25&flatten":                        `{"name":"default","operations":[{"op":"roundCorners","percent":12.5},{"op":"flatten","background":"#ffffff"}]}`,
		"flatten=%23EEEEEE":                            `{"name":"default","operations":[{"op":"flatten","background":"#eeeeee"}]}`,
		"flatten&background=eeeeee":                    `{"name":"default","operations":[{"op":"flatten","background":"#eeeeee"}],"background":"#eeeeee"}`,
		"flatten=0&invert=0&grayscale":                 `{"name":"default","operations":[{"op":"grayscale"}]}`,
		"watermark=W1":                                 `{"name":"default","operations":[{"op":"watermark","image":"W1","opacity":1}]}`,
		"watermark=W1/small&wm_gravity=east&wm_x=5&wm_y=-5&wm_opacity=0.5&wm_scale=0.25": `{"name":"default","operations":[{"op":"watermark","image":"W1","rendition":"small","gravity":"east","x":5,"y":-5,"opacity":0.5,"scale":0.25}]}`,
		"watermark=W1&wm_tile&wm_x=5": `{"name":"default","operations":[{"op":"watermark","image":"W1","x":5,"tile":true,"opacity":1}]}`,
		"text=a+%C3%A9%0Ab":           `{"name":"default","operations":[{"op":"text","text":"a é\nb","size":32,"color":"#000000","opacity":1}]}`,
		"text=x&text_size=9.5&text_color=FFFFFF80&text_gravity=south&text_x=1&text_y=2&text_opacity=0.5": `{"name":"default","operations":[{"op":"text","text":"x","size":9.5,"color":"#ffffff80","gravity":"south","x":1,"y":2,"opacity":0.5}]}`,
		"quality=auto&format=auto&effort=3":   `{"name":"default","format":"auto","quality":"auto","effort":3}`,
		"ssim=0.95&maxBytes=5000&format=WebP": `{"name":"default","format":"webp","quality":{"ssim":0.95},"maxBytes":5000}`,
		"ssim=0.98":                           `{"name":"default","quality":"auto"}`,
		"format=avif&lossless":                `{"name":"default","format":"avif","lossless":true}`,
		"progressive&chroma=444&metadata=copyright&profile=p3&frame=2": `{"name":"default","frame":2,"progressive":true,"chroma":"444","metadata":"copyright","profile":"p3"}`,
		"animated&format=gif&colors=16":                                `{"name":"default","animated":true,"format":"gif","colors":16}`,
		"text=end&flatten&round=5&watermark=W&pixelate=2&sharpen=1&extract=red&swap=rb&invert&tint=000000&sepia&grayscale&flip=h&rotate=1&extend=1,1,1,1&width=9&crop=1x1&trim": `order`,
	}
}

func TestQueryGivesOneRendition(t *testing.T) {
	for query, want := range goodQueries() {
		if want == "order" {
			continue // TestQueryOrder
		}
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

// The order is the documented one, however the parameters stand.
func TestQueryOrder(t *testing.T) {
	for query, want := range goodQueries() {
		if want != "order" {
			continue
		}
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		p, _, err := pipeline.FromQuery(values)
		require.NoError(t, err)
		var got []string
		for _, op := range p.Renditions[0].Operations {
			got = append(got, op.Op())
		}
		assert.Equal(t, []string{
			"trim", "crop", "resize", "extend", "rotate", "flip", "grayscale", "sepia", "tint", "invert", "swapRedBlue",
			"extractChannel", "sharpen", "pixelate", "watermark", "text", "roundCorners", "flatten",
		}, got)
	}
}

func TestDescribeStandsBesideTheRendition(t *testing.T) {
	p, given, err := pipeline.FromQuery(url.Values{"describe": {"phash,exif"}})
	require.NoError(t, err)
	assert.True(t, given)
	assert.Equal(t, []pipeline.Facet{pipeline.EXIF, pipeline.PHash}, p.Describe)
	assert.Equal(t, []pipeline.Rendition{{Name: "default"}}, p.Renditions)
}

type wrongQuery struct{ query, path, says string }

func wrongQueries() []wrongQuery {
	return []wrongQuery{
		{"widht=5", "widht", "allowed is"},
		{"=5", "", "no name; allowed is animated"},
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
		{"quality=best", "quality", "whole number"},
		{"quality=auto&ssim=0.9", "ssim", "beside quality"},
		{"quality=80&ssim=0.9", "ssim", "beside quality"},
		{"ssim=0", "ssim", "0.8 to 0.999"},
		{"ssim=0.5", "ssim", "0.8 to 0.999"},
		{"ssim=NaN", "ssim", "0.8 to 0.999"},
		{"quality=auto&format=png", "quality", "no meaning for format png"},
		{"percent=0", "percent", "above 0"},
		{"percent=50&width=5", "percent", "beside width"},
		{"percent=50&megapixels=5", "megapixels", "beside percent"},
		{"percent=50&fit=cover", "fit", "with percent"},
		{"percent=Inf", "percent", "0.1 to 1000"},
		{"megapixels=x", "megapixels", "number"},
		{"dpr=2", "dpr", "without width"},
		{"width=5&dpr=10", "dpr", "1 to 8"},
		{"width=5&gravity=attention", "gravity", "no meaning"},
		{"fp=0.5,0.5", "fp", "no meaning"},
		{"fp=0.5,0.5&width=4", "fp", "no meaning"},
		{"fp=1", "fp", "X,Y"},
		{"fp=2,0&crop=4x4", "fp", "0 to 1"},
		{"fp=0,0&crop=4x4&gravity=north", "fp", "no meaning"},
		{"gravity=focus&crop=4x4", "gravity", "focalPoint"},
		{"width=5&height=5&fit=pad&gravity=entropy", "gravity", "allowed is center"},
		{"trim=x", "trim", "THRESHOLD"},
		{"trim=256", "trim", "0 to 255"},
		{"trim=5,red", "trim", "THRESHOLD,COLOR"},
		{"extend=5", "extend", "TOP,RIGHT,BOTTOM,LEFT"},
		{"extend=0,0,0,0", "extend", "must be given"},
		{"extend=0,0,0,99999", "extend", "0 to 16384"},
		{"extend=1,1,1,1&background=red", "background", "#rrggbb"},
		{"sepia=200", "sepia", "0 to 100"},
		{"sepia=x", "sepia", "number"},
		{"tint=blue", "tint", "#rrggbb"},
		{"tint=0000ff00", "tint", "without transparency"},
		{"extract=cyan", "extract", "red, green"},
		{"pixelate=1", "pixelate", "2 to 1000"},
		{"round=x", "round", "radius in pixels"},
		{"round=0", "round", "must be given"},
		{"round=51%25", "round", "0.1 to 50"},
		{"round=9000", "round", "1 to 8192"},
		{"flatten=maybe", "flatten", "#rrggbb"},
		{"flatten&background=ffffff00", "background", "without transparency"},
		{"watermark=", "watermark", "empty"},
		{"watermark=a_b", "watermark", "ID of a finished image"},
		{"watermark=a/B", "watermark", "name of a rendition"},
		{"watermark=a/b/c", "watermark", "name of a rendition"},
		{"wm_gravity=north", "wm_gravity", "without watermark"},
		{"wm_tile", "wm_tile", "without watermark"},
		{"watermark=a&wm_gravity=focus", "wm_gravity", "center"},
		{"watermark=a&wm_tile&wm_gravity=north", "wm_gravity", "no meaning"},
		{"watermark=a&wm_opacity=0", "wm_opacity", "0.01 to 1"},
		{"watermark=a&wm_scale=0", "wm_scale", "above 0"},
		{"watermark=a&wm_x=99999", "wm_x", "16384"},
		{"text=", "text", "empty"},
		{"text=%FF", "text", "UTF-8"},
		{"text=%00", "text", "control"},
		{"text_size=9", "text_size", "without text"},
		{"text=a&text_size=2", "text_size", "4 to 1000"},
		{"text=a&text_color=red", "text_color", "#rrggbb"},
		{"text=a&text_gravity=up", "text_gravity", "center"},
		{"text=a&text_y=x", "text_y", "whole number"},
		{"text=a&text_opacity=2", "text_opacity", "0.01 to 1"},
		{"maxBytes=0", "maxBytes", "above 0"},
		{"maxBytes=10", "maxBytes", "1000"},
		{"effort=10", "effort", "1 to 9"},
		{"progressive=perhaps", "progressive", "true or false"},
		{"format=webp&progressive", "progressive", "no meaning"},
		{"chroma=411", "chroma", "420, 444"},
		{"lossless&format=jpeg", "lossless", "no meaning"},
		{"colors=1", "colors", "2 to 256"},
		{"metadata=all", "metadata", "copyright, keep"},
		{"profile=srgb", "profile", "p3, keep"},
		{"frame=-1", "frame", "0 to 9999"},
		{"frame=1&animated", "frame", "beside animated"},
		{"describe=", "describe", "empty"},
		{"describe=exif,", "describe", "exif, colors"},
		{"describe=exif,exif", "describe", "twice"},
	}
}

func TestWrongQueriesNameTheParameter(t *testing.T) {
	for _, c := range wrongQueries() {
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
