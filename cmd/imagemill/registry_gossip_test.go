package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGossipSettingsAreSaidPlainly(t *testing.T) {
	for want, args := range map[string][]string{
		"IMAGEMILL_DISCOVERY_GOSSIP_KEY (--discovery-gossip-key): want base64 of 16, 24 or 32 bytes":               {"--discovery", "gossip://", "--discovery-gossip-key", "c2hvcnQ="},
		"IMAGEMILL_DISCOVERY (--discovery): \"host\" is not host:port":                                             {"--discovery", "gossip://host"},
		"IMAGEMILL_DISCOVERY_GOSSIP_LISTEN (--discovery-gossip-listen): \"somewhere\" is not ip:port":              {"--discovery", "gossip://", "--discovery-gossip-listen", "somewhere"},
		"IMAGEMILL_DISCOVERY_GOSSIP_LISTEN (--discovery-gossip-listen): 0.0.0.0:0 is reachable from other machine": {"--discovery", "gossip://", "--discovery-gossip-listen", "0.0.0.0:0"},
	} {
		err := startFails(t, append(append([]string{"storage"}, args...), folderFlag(t, "storage")...)...)
		require.ErrorContains(t, err, want)
	}
}

// The gossip key follows from the token, and only from it.
func TestGossipKeyFollowsFromTheToken(t *testing.T) {
	one, err := gossipConfig{}.key("a token of some length")
	require.NoError(t, err)
	same, err := gossipConfig{}.key("a token of some length")
	require.NoError(t, err)
	other, err := gossipConfig{}.key("another token of some length")
	require.NoError(t, err)
	require.Equal(t, one, same)
	require.NotEqual(t, one, other)
	require.NoError(t, gossipConfig{Key: one, Listen: anyPort}.validate("a:1,b:2"))
	none, err := gossipConfig{}.key("")
	require.NoError(t, err)
	require.Empty(t, none)
}

// Processes of one service on one machine share the setting, not the folder.
func TestGossipFoldersAreApart(t *testing.T) {
	c := gossipConfig{Data: t.TempDir()}
	first, lock, err := c.folder("worker")
	require.NoError(t, err)
	second, other, err := c.folder("worker")
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(c.Data, "worker"), filepath.Join(c.Data, "worker-2")}, []string{first, second})
	require.NoError(t, lock.Close())
	again, lock, err := c.folder("worker")
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.NoError(t, lock.Close())
	require.NoError(t, other.Close())

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, _, err = gossipConfig{Data: file}.folder("worker")
	require.ErrorContains(t, err, "worker: IMAGEMILL_DISCOVERY_GOSSIP_DATA (--discovery-gossip-data)")
}
