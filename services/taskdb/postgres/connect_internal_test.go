package postgres

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/services/taskdb"
)

func TestTheAddressMaySayHowLongConnectingTakes(t *testing.T) {
	for address, want := range map[string]time.Duration{
		"postgres://u@h/d":                    connectWithin,
		"postgres://u@h/d?connect_timeout=0":  connectWithin,
		"postgres://u@h/d?connect_timeout=60": time.Minute,
	} {
		pc, err := parse(taskdb.Config{Database: address})
		require.NoError(t, err)
		require.Equal(t, want, pc.ConnConfig.ConnectTimeout, address)
	}
}
