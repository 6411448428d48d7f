package pipeline_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
)

func FuzzParse(f *testing.F) {
	for _, doc := range validDocuments() {
		f.Add([]byte(doc))
	}
	for _, c := range wrongDocuments() {
		if len(c.doc) < 1000 {
			f.Add([]byte(c.doc))
		}
	}
	f.Add([]byte(`{"renditions":[{"name":"a","name":"b"}]}`))
	schema := compiled(f)
	f.Fuzz(func(t *testing.T, doc []byte) {
		p, err := pipeline.Parse(doc)
		if err != nil {
			var e *pipeline.Error
			require.ErrorAs(t, err, &e)
			return
		}
		checkCanonical(t, p)
		canonical, err := json.Marshal(p)
		require.NoError(t, err)
		require.LessOrEqual(t, len(canonical), pipeline.MaxDocument)
		require.NoError(t, against(t, schema, string(canonical)), string(canonical))
	})
}

func FuzzFromQuery(f *testing.F) {
	names := parameters(f)
	for query := range goodQueries() {
		f.Add(query)
	}
	for _, c := range wrongQueries() {
		f.Add(c.query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		p, given, err := pipeline.FromQuery(values)
		if err != nil {
			var e *pipeline.Error
			require.ErrorAs(t, err, &e)
			known := values.Has(e.Path) || slices.Contains(names, e.Path) || strings.HasSuffix(e.Path, "…") // which is cut short
			require.True(t, known, "%q is a parameter, not a path", e.Path)
			return
		}
		require.Equal(t, given, !p.Empty())
		if given {
			checkCanonical(t, p)
		}
	})
}

// FuzzRoundTrip makes pipelines in Go, of values that nobody parsed: what
// Validate admits is written, read back alike, and follows the schema.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint8(0), uint8(1), int16(10), int16(20), 0.5, 1.0, "north", "#ffffff", "words", true)
	f.Add(uint8(17), uint8(3), int16(-1), int16(0), 0.1, 0.98, "focus", "", "a\nb", false)
	f.Add(uint8(22), uint8(7), int16(16384), int16(255), 1.0, 0.8, "", "#AABBCC", "A1-b", true)
	f.Add(uint8(23), uint8(4), int16(9), int16(256), 1000.0, 0.999, "southeast", "#aabbcc80", "<\u2028\xff", false)
	schema := compiled(f)
	f.Fuzz(func(t *testing.T, which, format uint8, a, b int16, x, y float64, gravity, color, text string, yes bool) {
		r := pipeline.Rendition{Name: "a", Operations: []pipeline.Operation{
			operationOf(int(which), int(a), int(b), x, y, pipeline.Gravity(gravity), pipeline.Color(color), text, yes),
		}}
		fill(&r, int(format), int(a), int(b), x, y, pipeline.Color(color), text, yes)
		p := pipeline.Pipeline{Version: 1, Renditions: []pipeline.Rendition{r}}
		doc, err := json.Marshal(p)
		if p.Validate() != nil {
			require.Error(t, err, "an invalid pipeline is not written")
			return
		}
		require.NoError(t, err)
		require.NoError(t, against(t, schema, string(doc)), string(doc))
		read, err := pipeline.Parse(doc)
		require.NoError(t, err, string(doc))
		checkCanonical(t, read)
		again, err := json.Marshal(read)
		require.NoError(t, err)
		require.Equal(t, string(doc), string(again))
	})
}

// fill sets fields of a rendition that may go together.
func fill(r *pipeline.Rendition, format, a, b int, x, y float64, c pipeline.Color, text string, yes bool) {
	formats := []pipeline.Format{"", "auto", "jpeg", "png", "gif", "webp", "avif", "tiff", "jxl", pipeline.Format(text)}
	r.Format, r.Background = formats[format%len(formats)], c
	switch format / len(formats) % 4 {
	case 0:
		r.Quality, r.Effort, r.MaxBytes, r.Progressive = a, b%12, int64(a)*int64(b), yes
	case 1:
		r.TargetSSIM, r.Chroma, r.Metadata, r.Profile = y, pipeline.Chroma(text), pipeline.Metadata(text), pipeline.Profile(text)
	case 2:
		r.Colors, r.Frame, r.Animated = b, a, yes
	case 3:
		r.Lossless, r.FocalPoint = yes, &pipeline.Focal{X: x, Y: y}
	}
}

// operationOf makes one operation of any kind.
func operationOf(which, a, b int, x, y float64, g pipeline.Gravity, c pipeline.Color, text string, yes bool) pipeline.Operation {
	all := []pipeline.Operation{
		pipeline.Resize{Width: a, Height: b, Fit: pipeline.Fit(text), NoEnlarge: yes, Gravity: g, Background: c},
		pipeline.Resize{Width: a, DPR: x, NoEnlarge: yes}, pipeline.Resize{Percent: x}, pipeline.Resize{Megapixels: x, Fit: pipeline.Contain},
		pipeline.Resize{Width: a, Height: b, DPR: x, Fit: pipeline.Cover, Gravity: g},
		pipeline.Crop{Width: a, Height: b, Gravity: g}, pipeline.Crop{Width: a, Height: b, X: &b, Y: &a},
		pipeline.Rotate{Angle: x, Background: c}, pipeline.Flip{Horizontal: yes, Vertical: a > 0}, pipeline.Blur{Sigma: x},
		pipeline.Sharpen{Sigma: x}, pipeline.Grayscale{}, pipeline.Brightness{Percent: x}, pipeline.Contrast{Percent: x},
		pipeline.Gamma{Value: x}, pipeline.Saturation{Percent: x}, pipeline.Hue{Degrees: x}, pipeline.Trim{Threshold: a, Background: c},
		pipeline.Extend{Top: a, Right: b, Left: a, Background: c}, pipeline.Pixelate{Size: a}, pipeline.Sepia{Percent: x}, pipeline.Tint{Color: c},
		pipeline.Watermark{Image: text, Gravity: g, X: a, Y: b, Tile: yes, Opacity: x, Scale: y},
		pipeline.Text{Text: text, Size: x, Color: c, Gravity: g, X: a, Y: b, Opacity: y},
		pipeline.ExtractChannel{Channel: pipeline.Channel(text)}, pipeline.RoundCorners{Radius: a, Percent: x}, pipeline.RoundCorners{Percent: x},
		pipeline.Flatten{Background: c}, pipeline.Invert{}, pipeline.SwapRedBlue{},
	}
	return all[which%len(all)]
}

// checkCanonical holds a pipeline that was handed out to the package's promise.
func checkCanonical(t *testing.T, p pipeline.Pipeline) {
	t.Helper()
	require.NoError(t, p.Validate())
	once, err := json.Marshal(p)
	require.NoError(t, err)
	again, err := pipeline.Parse(once)
	require.NoError(t, err, string(once))
	require.Equal(t, p, again)
	twice, err := json.Marshal(again)
	require.NoError(t, err)
	require.Equal(t, string(once), string(twice))
	for _, r := range p.Renditions {
		checkPlan(t, r, 640, 480)
	}
	checkExpansion(t, p)
}

// checkPlan holds a plan to what engines rely on.
func checkPlan(t *testing.T, r pipeline.Rendition, w, h int) {
	t.Helper()
	plan, err := r.Plan(w, h, 6)
	if err != nil {
		return
	}
	require.Len(t, plan, len(r.Operations)+1)
	trimmed := false
	for i, s := range plan {
		require.Positive(t, s.Pixels())
		require.Equal(t, trimmed, s.AtMost)
		if i == len(r.Operations) {
			break
		}
		_, trims := r.Operations[i].(pipeline.Trim)
		trimmed = trimmed || trims
		if _, isCrop := r.Operations[i].(pipeline.Crop); !isCrop && !plan[i].AtMost {
			again, err := r.PlanFrom(i, s.Width, s.Height)
			require.NoError(t, err)
			require.Equal(t, plan[i:], again, "planned again from the size that was planned")
		}
	}
}

// checkExpansion holds Expand to its promise.
func checkExpansion(t *testing.T, p pipeline.Pipeline) {
	t.Helper()
	full := p.Expand(func(pipeline.Format) bool { return true })
	require.NoError(t, full.Validate())
	require.Equal(t, full, full.Expand(func(pipeline.Format) bool { return true }))
	doc, err := json.Marshal(full)
	require.NoError(t, err)
	var back pipeline.Pipeline
	require.NoError(t, json.Unmarshal(doc, &back))
	require.Equal(t, full, back)
	if len(full.Renditions) > len(p.Renditions) {
		_, err = pipeline.Parse(doc)
		require.Error(t, err, "nobody writes the names that Expand makes")
	}
}
