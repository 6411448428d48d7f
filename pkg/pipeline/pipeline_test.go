package pipeline_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
)

func TestCanonicalDocumentSurvivesARoundTrip(t *testing.T) {
	for _, doc := range validDocuments() {
		p, err := pipeline.Parse([]byte(doc))
		require.NoError(t, err, doc)
		checkCanonical(t, p)
	}
	for _, doc := range []string{everything, more} {
		p, err := pipeline.Parse([]byte(doc))
		require.NoError(t, err)
		out, err := json.Marshal(p)
		require.NoError(t, err)
		assert.Equal(t, doc, string(out))
	}
}

func TestFieldsArriveInGo(t *testing.T) {
	p, err := pipeline.Parse([]byte(everything))
	require.NoError(t, err)
	require.Len(t, p.Renditions, 2)
	assert.True(t, p.Renditions[0].KeepOrientation)
	assert.Equal(t, pipeline.Rotate{Angle: 12.5, Background: "#000000"}, p.Renditions[0].Operations[3])
	p, err = pipeline.Parse([]byte(more))
	require.NoError(t, err)
	cover := p.Renditions[0]
	assert.Equal(t, pipeline.Focal{X: 0.25, Y: 1}, *cover.FocalPoint)
	assert.Equal(t, pipeline.DefaultSSIM, cover.TargetSSIM)
	assert.Equal(t, 0.95, p.Renditions[2].TargetSSIM)
	assert.Equal(t, []pipeline.Facet{pipeline.EXIF, pipeline.Colors, pipeline.BlurHash, pipeline.PHash}, p.Describe)
	assert.Equal(t, []pipeline.Asset{{Image: "01890a5d-ac96-774b-bcce-b302099a8057", Rendition: "mark.webp"}, {Image: "W1"}}, p.Assets())
	assert.Equal(t, "01890a5d-ac96-774b-bcce-b302099a8057/mark.webp", p.Assets()[0].Key())
	assert.Equal(t, "W1/", p.Assets()[1].Key())
}

func TestDefaultsAreWrittenOut(t *testing.T) {
	p, err := pipeline.Parse([]byte(short))
	require.NoError(t, err)
	out, err := json.Marshal(p)
	require.NoError(t, err)
	assert.Equal(t, `{"version":1,"describe":["exif","phash"],"renditions":[{"name":"default","operations":[{"op":"trim","threshold":10},`+
		`{"op":"sepia","percent":100},{"op":"flatten","background":"#ffffff"},{"op":"watermark","image":"a","opacity":1},`+
		`{"op":"text","text":"x","size":32,"color":"#000000","opacity":1}]}]}`, string(out))
}

func TestColoursAreWrittenInSmallLetters(t *testing.T) {
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

func TestWrongDocumentsNameTheField(t *testing.T) {
	for _, c := range wrongDocuments() {
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
