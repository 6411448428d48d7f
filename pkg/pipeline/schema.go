package pipeline

import _ "embed" // the schema

//go:embed schema.json
var schema string

// Schema is the JSON Schema (draft 2020-12) of the document, for editors and
// other people's programs. Its $id carries the version. It refuses every field
// that is unknown or of the wrong type or range; Parse refuses some
// combinations beside, as ones without meaning and names that are not unique.
func Schema() string { return schema }
