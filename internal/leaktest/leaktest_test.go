package leaktest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { Main(m) }

func TestWhoStaysIsFound(t *testing.T) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); <-end }()
	require.ErrorContains(t, find(time.Millisecond), "TestWhoStaysIsFound")
	close(end)
	<-ended
	require.NoError(t, find(time.Minute))
}

func TestWhoIsSlowIsWaitedFor(t *testing.T) {
	go func() { <-time.After(time.Second) }()
	require.NoError(t, find(time.Minute))
}
