package shared_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/shared"
)

const square = `{"version":1,"renditions":[{"name":"default","operations":[{"op":"resize","width":5,"height":5,"fit":"contain"}]}]}`

// Every setting that there is takes these values and refuses those.
func TestWhatIsAllowed(t *testing.T) {
	cases := map[string]struct{ good, bad []string }{
		"log/level":               {[]string{"debug", "INFO", " warn\n", "error"}, []string{"", "loud", "debug+1", "4"}},
		"presets/x":               {[]string{square}, []string{"", "[]", `{"renditions":[{"operations":[{"op":"explode"}]}]}`}},
		"maintenance/mode":        {[]string{"on", "off", "true", "False"}, []string{"", "maybe", "1"}},
		"maintenance/message":     {[]string{"Back at ten."}, []string{"", " ", "a\nb", "a\x1b[2J", strings.Repeat("x", 501)}},
		"maintenance/retry-after": {[]string{"1s", "24h", "1m30s"}, []string{"", "0s", "25h", "30", "soon"}},
		"frontend/max-body":       {[]string{"1", "64MiB", "1024GiB"}, []string{"", "0", "-1", "1025GiB", "many"}},
		"frontend/max-uploads":    {[]string{"1", "1000000"}, []string{"0", "1000001", "1.5", "0x10"}},
		"frontend/input-pixels":   {[]string{"1", "50000000"}, []string{"0", "-5", "99999999999999999999"}},
		"frontend/side":           {[]string{"1", "16384"}, []string{"0", "x"}},
		"worker/engines":          {[]string{"1", "1024"}, []string{"0", "1025", ""}},
		"worker/in-flight":        {[]string{"0", "64"}, []string{"-1", "100001"}},
		"worker/wall-time":        {[]string{"100ms", "1h"}, []string{"99ms", "61m", "60"}},
		"worker/input-pixels":     {[]string{"1"}, []string{"0"}},
		"worker/output-pixels":    {[]string{"1"}, []string{"0"}},
		"worker/side":             {[]string{"1"}, []string{"0"}},
		"worker/frames":           {[]string{"1"}, []string{"0"}},
	}
	all := shared.Catalogue()
	require.Len(t, cases, len(all), "a setting without a case")
	for name, c := range cases {
		known, err := all.Find(name)
		require.NoError(t, err)
		for _, v := range c.good {
			require.NoError(t, all.Check(name, v), "%s = %q", name, v)
		}
		for _, v := range c.bad {
			require.Error(t, all.Check(name, v), "%s = %q", name, v)
			require.Error(t, known.Check(v))
		}
		d := known.Describe()
		require.NotEmpty(t, d.Help)
		require.NotEmpty(t, d.Allowed)
	}
}

// What is shown can be written again.
func TestFormatsAreWhatIsParsed(t *testing.T) {
	level, err := shared.LogLevel().Parse("WARN")
	require.NoError(t, err)
	require.Equal(t, "warn", shared.LogLevel().Format(level))
	p, err := shared.Presets().Parse(square)
	require.NoError(t, err)
	require.Equal(t, square, shared.Presets().Format(p))
	require.Equal(t, "on", shared.Maintenance().Format(true))
	require.Equal(t, "off", shared.Maintenance().Format(false))
	for text, want := range map[string]string{"60m": "1h", "90m": "1h30m", "90s": "1m30s", "10m": "10m", "3605s": "1h0m5s", "1s": "1s"} {
		d, err := shared.MaintenanceRetryAfter().Parse(text)
		require.NoError(t, err)
		require.Equal(t, want, shared.MaintenanceRetryAfter().Format(d))
		again, err := shared.MaintenanceRetryAfter().Parse(want)
		require.NoError(t, err)
		require.Equal(t, d, again)
	}
}
