package frontend

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
)

// parameters lists what FromQuery knows, as its refusal of another name does.
func parameters(t *testing.T) []string {
	_, _, err := pipeline.FromQuery(url.Values{"unheard-of": {"1"}}, "preset", "pipeline", paramLane, paramNotBefore, paramDelay, paramDedupe)
	require.Error(t, err)
	_, list, ok := strings.Cut(err.Error(), "allowed is ")
	require.True(t, ok)
	return strings.Split(list, ", ")
}

func TestDocumentListsEveryParameter(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	require.NoError(t, err)
	upload := doc.Paths.Find("/newImage").Post
	var query, form []string
	for _, p := range upload.Parameters {
		if p.Value.In == openapi3.ParameterInQuery {
			query = append(query, p.Value.Name)
		}
	}
	for name := range upload.RequestBody.Value.Content["multipart/form-data"].Schema.Value.Properties {
		if name != "image" {
			form = append(form, name)
		}
	}
	all := append(parameters(t), "expires")
	assert.ElementsMatch(t, all, query)
	assert.ElementsMatch(t, all, form)
	assert.Less(t, len(form), maxFields)
}

// What the API document says of a pipeline is what its JSON Schema says.
func TestDocumentAgreesWithTheSchema(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	require.NoError(t, err)
	var schema map[string]any
	require.NoError(t, json.Unmarshal([]byte(strings.ReplaceAll(pipeline.Schema(), "#/$defs/", "#/components/schemas/")), &schema))
	definitions := schema["$defs"].(map[string]any)
	for _, meta := range []string{"$defs", "$schema", "$id", "title"} {
		delete(schema, meta)
	}
	definitions["Pipeline"] = schema
	for name, want := range definitions {
		component := doc.Components.Schemas[name]
		if !assert.NotNil(t, component, name) {
			continue
		}
		got, err := json.Marshal(component)
		require.NoError(t, err)
		expected, err := json.Marshal(want)
		require.NoError(t, err)
		assert.JSONEq(t, string(expected), string(got), name)
	}
}

func TestSchemaIsServed(t *testing.T) {
	a := start(t).get("/pipeline.schema.json")
	assert.Equal(t, pipeline.Schema(), string(a.body))
	assert.Equal(t, "application/schema+json", a.Header.Get("Content-Type"))
}
