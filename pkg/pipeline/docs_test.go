package pipeline_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
)

// page is docs/pipelines.md.
func page(t *testing.T) string {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "pipelines.md"))
	require.NoError(t, err)
	return string(b)
}

// block is a block of code in the page.
var block = regexp.MustCompile("(?s)```(json|query)\n(.*?)```")

// document makes a document of an example: it is one, an operation or a list.
func document(example string) string {
	switch {
	case strings.Contains(example, `"renditions"`):
		return example
	case strings.HasPrefix(example, "["):
		return ops(strings.Trim(strings.TrimSpace(example), "[]"))
	}
	return ops(example)
}

func TestExamplesOfThePageAreValid(t *testing.T) {
	schema := compiled(t)
	shown := map[string]bool{}
	examples := block.FindAllStringSubmatch(page(t), -1)
	require.Greater(t, len(examples), 20)
	for _, m := range examples {
		if m[1] == "query" {
			values, err := url.ParseQuery(strings.TrimSpace(m[2]))
			require.NoError(t, err)
			_, given, err := pipeline.FromQuery(values)
			assert.NoError(t, err, m[2])
			assert.True(t, given, m[2])
			continue
		}
		doc := document(m[2])
		p, err := pipeline.Parse([]byte(doc))
		if !assert.NoError(t, err, doc) {
			continue
		}
		assert.NoError(t, against(t, schema, doc), doc)
		for _, r := range p.Renditions {
			for _, op := range r.Operations {
				shown[op.Op()] = true
			}
		}
	}
	for _, op := range allOperations() {
		assert.True(t, shown[op.Op()], "no example of %s", op.Op())
	}
}

// A section on each operation names its fields, and the tables name the rest.
func TestThePageNamesEverything(t *testing.T) {
	text := page(t)
	for _, op := range allOperations() {
		section := regexp.MustCompile(`(?ms)^### [^\n]*\b` + op.Op() + `\b[^\n]*\n(.*?)(^##|\z)`).FindStringSubmatch(text)
		if !assert.NotNil(t, section, "no section on %s", op.Op()) {
			continue
		}
		for field := range properties(t, strings.ToUpper(op.Op()[:1])+op.Op()[1:]) {
			assert.True(t, field == "op" || strings.Contains(section[1], "`"+field+"`"), "%s: %s", op.Op(), field)
		}
	}
	for field := range properties(t, "Rendition") {
		assert.Contains(t, text, "| `"+field+"` |")
	}
	for _, name := range parameters(t) {
		assert.Regexp(t, "`"+name+"[`=]", text, "the query parameter")
	}
}

// parameters lists what FromQuery knows, as its refusal of another name does.
func parameters(t testing.TB) []string {
	_, _, err := pipeline.FromQuery(url.Values{"unheard-of": {"1"}})
	require.Error(t, err)
	_, list, ok := strings.Cut(err.Error(), "allowed is ")
	require.True(t, ok)
	names := strings.Split(list, ", ")
	require.Greater(t, len(names), 50)
	return names
}
