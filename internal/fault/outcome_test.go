package fault_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
)

func TestOutcomesComeBackAsTheyWere(t *testing.T) {
	for name, err := range map[string]error{
		"success":     nil,
		"conflict":    fault.New(fault.Conflict, "too late").WithState("finished"),
		"invalid":     fault.New(fault.Invalid, "must be a number").WithField("width"),
		"full":        fault.New(fault.StorageFull, "no room").WithRetryAfter(1500 * time.Millisecond),
		"unavailable": fault.Wrap(fault.Unavailable, "it is away", errors.New("private")).WithRetryAfter(time.Second),
		"internal":    errors.New("private"),
	} {
		t.Run(name, func(t *testing.T) {
			data, jerr := json.Marshal(fault.OutcomeOf(err, "/records", "r-1"))
			require.NoError(t, jerr)
			require.NotContains(t, string(data), "private")
			var o fault.Outcome
			require.NoError(t, json.Unmarshal(data, &o))
			got := o.Err()
			if err == nil {
				require.NoError(t, got)
				require.Equal(t, "{}", string(data))
				return
			}
			require.Equal(t, "r-1", o.Problem.RequestID)
			want, back := fault.As(err), fault.As(got)
			require.Equal(t, want.Kind, back.Kind)
			require.Equal(t, []string{want.Public, want.Field, want.State, want.ID}, []string{back.Public, back.Field, back.State, back.ID})
			require.Equal(t, (want.RetryAfter + time.Second - 1).Truncate(time.Second), back.RetryAfter)
		})
	}
}
