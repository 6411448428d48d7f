package pipeline_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
)

// everything uses each operation and each field once.
const everything = `{"version":1,"renditions":[{"name":"a_1-x","autoOrient":false,"operations":[` +
	`{"op":"resize","width":800,"height":600,"fit":"pad","noEnlarge":true,"gravity":"southeast","background":"#aabbcc80"},` +
	`{"op":"crop","width":10,"height":20,"x":0,"y":3},{"op":"crop","width":9,"height":9,"gravity":"north"},` +
	`{"op":"rotate","angle":12.5,"background":"#000000"},{"op":"flip","horizontal":true,"vertical":true},` +
	`{"op":"blur","sigma":1.5},{"op":"sharpen","sigma":0.5},{"op":"grayscale"},{"op":"brightness","percent":-10},` +
	`{"op":"contrast","percent":0},{"op":"gamma","value":2.2},{"op":"saturation","percent":30},` +
	`{"op":"hue","degrees":-90},{"op":"invert"},{"op":"swapRedBlue"}],"format":"jpeg","quality":80,"background":"#ffffff"},` +
	`{"name":"b","operations":[{"op":"resize","height":5,"fit":"contain"}]}]}`

func TestCanonicalDocumentSurvivesARoundTrip(t *testing.T) {
	p, err := pipeline.Parse([]byte(everything))
	require.NoError(t, err)
	require.Len(t, p.Renditions, 2)
	assert.True(t, p.Renditions[0].KeepOrientation)
	assert.Equal(t, pipeline.Rotate{Angle: 12.5, Background: "#000000"}, p.Renditions[0].Operations[3])
	out, err := json.Marshal(p)
	require.NoError(t, err)
	assert.Equal(t, everything, string(out))
}

func TestDefaultsAreWrittenOut(t *testing.T) {
	p, err := pipeline.Parse([]byte(`{"renditions":[{"operations":[{"op":"resize","width":7},{"op":"rotate","angle":1,"background":"#AABBCC"}]}]}`))
	require.NoError(t, err)
	out, err := json.Marshal(struct{ P pipeline.Pipeline }{p})
	require.NoError(t, err)
	assert.Equal(t, `{"P":{"version":1,"renditions":[{"name":"default","operations":[{"op":"resize","width":7,"fit":"contain"},`+
		`{"op":"rotate","angle":1,"background":"#aabbcc"}]}]}}`, string(out))
	var back struct{ P pipeline.Pipeline }
	require.NoError(t, json.Unmarshal(out, &back))
	assert.Equal(t, p, back.P)
}

func TestTheEmptyPipelineIsNull(t *testing.T) {
	out, err := json.Marshal(pipeline.Pipeline{})
	require.NoError(t, err)
	assert.Equal(t, "null", string(out))
	var p pipeline.Pipeline
	require.NoError(t, json.Unmarshal(out, &p))
	assert.True(t, p.Empty())
	assert.Error(t, p.Validate(), "empty is not valid")
}

func ops(list string) string { return `{"renditions":[{"operations":[` + list + `]}]}` }

func TestWrongDocumentsNameTheField(t *testing.T) {
	many := strings.Repeat(`{"op":"invert"},`, 32) + `{"op":"invert"}`
	for _, c := range []struct{ doc, path, says string }{
		{``, "", "not JSON"},
		{`{"renditions":[}`, "", "after byte"},
		{`{} x`, "", "not JSON"},
		{`[]`, "", "must be an object"},
		{`null`, "", "must be an object"},
		{`{"renditions":[]}`, "renditions", "1 to 32"},
		{`{"version":2,"renditions":[{}]}`, "version", "only version is 1"},
		{`{"version":0,"renditions":[{}]}`, "version", "only version is 1"},
		{`{"version":1,"version":1,"renditions":[{}]}`, "version", "twice"},
		{`{"Version":1,"renditions":[{}]}`, "Version", "not known"},
		{`{"renditions":{}}`, "renditions", "list"},
		{`{"renditions":[{},{}]}`, "renditions[0].name", "only a single rendition"},
		{`{"renditions":[{"name":"a"},{"name":"a"}]}`, "renditions[1].name", "unique"},
		{`{"renditions":[{"name":"A"}]}`, "renditions[0].name", "a-z"},
		{`{"renditions":[{"name":"../x"}]}`, "renditions[0].name", "a-z"},
		{`{"renditions":[{"name":""}]}`, "renditions[0].name", "empty"},
		{`{"renditions":[{"format":"bmp"}]}`, "renditions[0].format", "jpeg, png, gif"},
		{`{"renditions":[{"quality":0}]}`, "renditions[0].quality", "1 to 100"},
		{`{"renditions":[{"quality":101}]}`, "renditions[0].quality", "1 to 100"},
		{`{"renditions":[{"quality":"80"}]}`, "renditions[0].quality", "whole number"},
		{`{"renditions":[{"autoOrient":null}]}`, "renditions[0].autoOrient", "true or false"},
		{`{"renditions":[{"background":"red"}]}`, "renditions[0].background", "#rrggbb"},
		{`{"renditions":[{"operations":5}]}`, "renditions[0].operations", "list"},
		{ops(many), "renditions[0].operations", "at most 32"},
		{ops(`7`), "renditions[0].operations[0]", "object"},
		{ops(`{}`), "renditions[0].operations[0].op", "missing"},
		{ops(`{"op":"explode"}`), "renditions[0].operations[0].op", "resize, crop"},
		{ops(`{"op":"invert","x":1}`), "renditions[0].operations[0].x", "not known"},
		{ops(`{"op":"invert"},{"op":"resize","width":-1}`), "renditions[0].operations[1].width", "1 to 16384"},
		{ops(`{"op":"resize","width":16385}`), "renditions[0].operations[0].width", "1 to 16384"},
		{ops(`{"op":"resize","width":1.5}`), "renditions[0].operations[0].width", "whole number"},
		{ops(`{"op":"resize","width":1e99}`), "renditions[0].operations[0].width", "whole number"},
		{ops(`{"op":"resize"}`), "renditions[0].operations[0].width", "must be given"},
		{ops(`{"op":"resize","width":5,"fit":"fill"}`), "renditions[0].operations[0].fit", "cover"},
		{ops(`{"op":"resize","width":5,"fit":"cover"}`), "renditions[0].operations[0].height", "needs width and height"},
		{ops(`{"op":"resize","height":5,"fit":"pad"}`), "renditions[0].operations[0].width", "needs width and height"},
		{ops(`{"op":"resize","width":5,"gravity":"north"}`), "renditions[0].operations[0].gravity", "no meaning"},
		{ops(`{"op":"resize","width":5,"background":"#000000"}`), "renditions[0].operations[0].background", "no meaning"},
		{ops(`{"op":"resize","width":5,"height":5,"fit":"cover","gravity":"up"}`), "renditions[0].operations[0].gravity", "northeast"},
		{ops(`{"op":"crop","width":5}`), "renditions[0].operations[0].height", "1 to 16384"},
		{ops(`{"op":"crop","width":5,"height":5,"x":1}`), "renditions[0].operations[0].y", "together"},
		{ops(`{"op":"crop","width":5,"height":5,"y":1}`), "renditions[0].operations[0].x", "together"},
		{ops(`{"op":"crop","width":5,"height":5,"x":-1,"y":0}`), "renditions[0].operations[0].x", "0 to 100000"},
		{ops(`{"op":"crop","width":5,"height":5,"x":1,"y":1,"gravity":"west"}`), "renditions[0].operations[0].gravity", "one or the other"},
		{ops(`{"op":"rotate"}`), "renditions[0].operations[0].angle", "missing"},
		{ops(`{"op":"rotate","angle":361}`), "renditions[0].operations[0].angle", "-360 to 360"},
		{ops(`{"op":"flip"}`), "renditions[0].operations[0].horizontal", "must be true"},
		{ops(`{"op":"blur","sigma":0}`), "renditions[0].operations[0].sigma", "0.1 to 100"},
		{ops(`{"op":"gamma","value":11}`), "renditions[0].operations[0].value", "0.1 to 10"},
		{ops(`{"op":"brightness","percent":101}`), "renditions[0].operations[0].percent", "-100 to 100"},
		{`{"renditions":[{"name":"` + strings.Repeat("x", pipeline.MaxDocument) + `"}]}`, "", "at most 65536"},
	} {
		_, err := pipeline.Parse([]byte(c.doc))
		var e *pipeline.Error
		if !assert.True(t, errors.As(err, &e), "%.80s: %v", c.doc, err) {
			continue
		}
		assert.Equal(t, c.path, e.Path, "%.80s: %s", c.doc, e.Message)
		assert.Contains(t, e.Message, c.says, "%.80s", c.doc)
		assert.Less(t, len(e.Message), 600, "%.80s", c.doc)
	}
}

func TestValidateRefusesWhatJSONCannotSay(t *testing.T) {
	for _, op := range []pipeline.Operation{nil, pipeline.Blur{Sigma: math.NaN()}, pipeline.Hue{Degrees: math.Inf(1)}} {
		p := pipeline.Pipeline{Renditions: []pipeline.Rendition{{Name: "a", Operations: []pipeline.Operation{op}}}}
		require.Error(t, p.Validate())
		_, err := json.Marshal(p)
		require.Error(t, err, "an invalid pipeline is not written")
	}
}

func TestPresetsAreValidAndFresh(t *testing.T) {
	for name, p := range pipeline.DefaultPresets() {
		assert.NoError(t, p.Validate(), name)
	}
	pipeline.DefaultPresets()["default"].Renditions[0].Name = "changed"
	assert.Equal(t, "default", pipeline.DefaultPresets()["default"].Renditions[0].Name)
}

func TestColor(t *testing.T) {
	r, g, b, a := pipeline.Color("#10203040").NRGBA()
	assert.Equal(t, []uint8{16, 32, 48, 64}, []uint8{r, g, b, a})
	_, _, _, a = pipeline.Color("#102030").NRGBA()
	assert.Equal(t, uint8(255), a)
	_, _, _, a = pipeline.Color("").NRGBA()
	assert.Zero(t, a)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte(ops(`{"op":"resize","width":7,"height":9,"fit":"cover","noEnlarge":true}`)))
	f.Add([]byte(`{"renditions":[{"name":"a","name":"b"}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		p, err := pipeline.Parse(doc)
		if err != nil {
			var e *pipeline.Error
			require.ErrorAs(t, err, &e)
			return
		}
		checkCanonical(t, p)
	})
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
		plan, err := r.Plan(640, 480, 6)
		if err == nil {
			require.Len(t, plan, len(r.Operations)+1)
			require.Positive(t, plan.Result().Pixels())
		}
	}
}
