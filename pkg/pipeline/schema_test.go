package pipeline_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
)

func compiled(t testing.TB) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(pipeline.Schema()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("pipeline.json", doc))
	s, err := c.Compile("pipeline.json")
	require.NoError(t, err)
	return s
}

func against(t testing.TB, s *jsonschema.Schema, doc string) error {
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(doc))
	require.NoError(t, err, doc)
	return s.Validate(v)
}

func TestValidDocumentsFollowTheSchema(t *testing.T) {
	s := compiled(t)
	for _, doc := range validDocuments() {
		assert.NoError(t, against(t, s, doc), doc)
	}
	for name, p := range pipeline.DefaultPresets() {
		doc, err := json.Marshal(p)
		require.NoError(t, err)
		assert.NoError(t, against(t, s, string(doc)), name)
	}
}

// What is wrong by name, type or range is wrong by the schema too. Documents
// that are wrong for what only Parse can know say so in the table.
func TestWrongDocumentsBreakTheSchema(t *testing.T) {
	s := compiled(t)
	broken := 0
	for _, c := range wrongDocuments() {
		if c.beyondSchema || !json.Valid([]byte(c.doc)) {
			continue
		}
		assert.Error(t, against(t, s, c.doc), "%.80s: %s %s", c.doc, c.path, c.says)
		broken++
	}
	assert.Greater(t, broken, 100)
}

// properties gives the names of the members that a definition of the schema has.
func properties(t *testing.T, definition string) map[string]any {
	var doc map[string]any
	require.NoError(t, json.Unmarshal([]byte(pipeline.Schema()), &doc))
	if definition != "" {
		doc = doc["$defs"].(map[string]any)[definition].(map[string]any)
	}
	return doc["properties"].(map[string]any)
}

func TestEveryOperationAndFieldStandsInTheSchema(t *testing.T) {
	operations := allOperations()
	for _, op := range operations {
		v := reflect.TypeOf(op)
		want := []string{"op"}
		for field := range v.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			require.NotEmpty(t, name, "%s.%s", v, field.Name)
			want = append(want, name)
		}
		got := properties(t, v.Name())
		assert.ElementsMatch(t, want, keys(got), v.Name())
		assert.Equal(t, op.Op(), got["op"].(map[string]any)["const"])
	}
	var doc struct {
		Defs struct {
			Operation struct{ OneOf []any }
		} `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal([]byte(pipeline.Schema()), &doc))
	assert.Len(t, doc.Defs.Operation.OneOf, len(operations))
}

// A document with every field set has as many members as the schema names, and
// sets every field of the Go types.
func TestEveryFieldOfADocumentStandsInTheSchema(t *testing.T) {
	seen := map[string]any{}
	fields := map[string]bool{}
	for _, doc := range validDocuments() {
		p, err := pipeline.Parse([]byte(doc))
		require.NoError(t, err, doc)
		for _, r := range p.Renditions {
			raw, err := json.Marshal(r)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(raw, &seen))
			v := reflect.ValueOf(r)
			for i := range v.NumField() {
				fields[v.Type().Field(i).Name] = fields[v.Type().Field(i).Name] || !v.Field(i).IsZero()
			}
		}
	}
	for name, set := range fields {
		assert.True(t, set, "no document sets %s", name)
	}
	assert.ElementsMatch(t, keys(properties(t, "Rendition")), keys(seen))
	assert.ElementsMatch(t, []string{"version", "describe", "renditions"}, keys(properties(t, "")))
}

func keys(m map[string]any) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}
