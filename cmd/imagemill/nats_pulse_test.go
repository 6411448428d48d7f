//go:build linux && !nonats

package main

import (
	"io/fs"
	"testing"

	"github.com/nats-io/nats-server/v2/server/pse"
	"github.com/stretchr/testify/require"
)

// The NATS server's package looks at its file for the last time.
func TestNATSPulseStops(t *testing.T) {
	var busy float64
	var rss, vss int64
	before := natsStatFile
	require.NoError(t, pse.ProcUsage(&busy, &rss, &vss))
	stopNATSPulse()
	t.Cleanup(func() { natsStatFile = before })
	require.ErrorIs(t, pse.ProcUsage(&busy, &rss, &vss), fs.ErrNotExist)
	require.Len(t, natsStatFile, len(before))
}
