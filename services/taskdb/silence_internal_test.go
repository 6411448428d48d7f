package taskdb

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSilencesAreForgotten(t *testing.T) {
	var s Silences
	now := time.Unix(1000, 0)
	require.NoError(t, s.Check(Claim{Worker: "w", WaitedMillis: 1}, now), "the zero value knows of none")
	for i := range 100 {
		s.Note(fmt.Sprint("gone-", i), now)
	}
	s.Note("w", now.Add(SilenceKept))
	require.Len(t, s.last, 101)
	require.Error(t, s.Check(Claim{Worker: "gone-1", WaitedMillis: 1}, now))
	s.Note("w", now.Add(SilenceKept+1))
	require.Len(t, s.last, 1, "workers that are gone for good are not kept")
	require.Error(t, s.Check(Claim{Worker: "w", WaitedMillis: 1}, now.Add(SilenceKept+1)))
}
