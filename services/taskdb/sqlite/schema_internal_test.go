package sqlite

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// dump writes the schema as the migrations leave it.
func dump(t *testing.T, s *Store) string {
	t.Helper()
	rows, err := s.reader.QueryContext(t.Context(),
		"SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%' ORDER BY type DESC, name")
	require.NoError(t, err)
	out := "-- What the migrations add up to; UPDATE_SCHEMA=1 go test ./services/taskdb/sqlite writes it.\n"
	for rows.Next() {
		var sql string
		require.NoError(t, rows.Scan(&sql))
		out += "\n" + sql + ";\n"
	}
	require.NoError(t, rows.Err())
	require.NoError(t, rows.Close()) //nolint:sqlclosecheck // before the next query
	return out
}

func TestSchemaIsCurrent(t *testing.T) {
	got := dump(t, openStore(t))
	if os.Getenv("UPDATE_SCHEMA") != "" {
		require.NoError(t, os.WriteFile("schema.sql", []byte(got), 0o600))
	}
	want, err := os.ReadFile("schema.sql")
	require.NoError(t, err)
	require.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), got)
}
