package kvstore

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type ending func() error

func (e ending) Error() error { return e() }

// A Raft that never ends does not keep a node from stopping; one that does is
// waited for.
func TestARaftThatHangsIsLeft(t *testing.T) {
	var said bytes.Buffer
	n := &node{log: slog.New(slog.NewTextHandler(&said, nil))}
	broken, hangs := errors.New("broken"), make(chan struct{})
	defer close(hangs)
	require.ErrorIs(t, n.ended(ending(func() error { return broken }), time.Hour), broken)
	require.Empty(t, said.String())
	require.NoError(t, n.ended(ending(func() error { <-hangs; return nil }), time.Millisecond))
	require.Contains(t, said.String(), "raft has not ended")
}
