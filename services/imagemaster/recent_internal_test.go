package imagemaster

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/services/taskdb"
)

func TestRecentImagesAreForgottenInTime(t *testing.T) {
	begin := time.Now()
	for name, c := range map[string]struct {
		after time.Duration
		known bool
	}{
		"at once":                 {0, true},
		"within its generation":   {recently - 1, true},
		"in the next generation":  {2*recently - 1, true},
		"after two generations":   {2 * recently, false},
		"the clock was set back":  {-time.Hour, false},
		"nobody came for an hour": {time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			var r recent
			r.ended(begin, "a", []taskdb.Rendition{{Name: "thumb"}})
			made, ok := r.of(begin.Add(c.after), "a")
			require.Equal(t, c.known, ok)
			if c.known {
				require.Equal(t, []taskdb.Rendition{{Name: "thumb"}}, made)
			}
		})
	}
}

func TestRecentImagesAreBounded(t *testing.T) {
	var r recent
	now := time.Now()
	for i := range 3 * maxRecent {
		r.ended(now, fmt.Sprint(i), nil)
	}
	require.LessOrEqual(t, len(r.young)+len(r.old), 2*maxRecent)
	_, ok := r.of(now, fmt.Sprint(3*maxRecent-1))
	require.True(t, ok, "the newest is known")
	_, ok = r.of(now, "0")
	require.False(t, ok, "the oldest is not")
}
