package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// makeSecrets runs the command over a folder.
func makeSecrets(t *testing.T, dir string) (string, error) {
	t.Helper()
	cmd, out := root(), &bytes.Buffer{}
	cmd.SetArgs([]string{"secrets", "--dir", dir})
	cmd.SetOut(out)
	cmd.SetErr(io.Discard)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func content(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return strings.TrimSpace(string(b))
}

func TestSecretsAreMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	said, err := makeSecrets(t, dir)
	require.NoError(t, err)
	cluster, token := content(t, dir, "cluster-token"), content(t, dir, "nats-token")
	require.Len(t, cluster, 43)
	require.NotEqual(t, cluster, token)
	require.NotContains(t, said, cluster)
	require.NotContains(t, said, token)

	opts, err := server.ProcessConfigFile(filepath.Join(dir, "nats.conf"))
	require.NoError(t, err)
	require.Equal(t, token, opts.Authorization)
	require.Equal(t, 4222, opts.Port)
	require.False(t, opts.JetStream)

	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 3, "nothing is left beside them")
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		if runtime.GOOS != "windows" {
			require.Equal(t, os.FileMode(secretMode), info.Mode(), f.Name())
		}
	}

	said, err = makeSecrets(t, dir)
	require.NoError(t, err)
	require.Empty(t, said)
	require.Equal(t, cluster, content(t, dir, "cluster-token"))
}

func TestSecretsOfTheEnvironmentWin(t *testing.T) {
	dir := t.TempDir()
	_, err := makeSecrets(t, dir)
	require.NoError(t, err)
	before := content(t, dir, "cluster-token")
	t.Setenv("IMAGEMILL_NATS_TOKEN", "0f3a9c41d2b7e658")
	_, err = makeSecrets(t, dir)
	require.NoError(t, err)
	require.Equal(t, "0f3a9c41d2b7e658", content(t, dir, "nats-token"))
	require.Contains(t, content(t, dir, "nats.conf"), `"0f3a9c41d2b7e658"`)
	require.Equal(t, before, content(t, dir, "cluster-token"))
}

func TestSecretsThatAreNoneAreRefused(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("IMAGEMILL_CLUSTER_TOKEN", "change-me-change-me")
	t.Setenv("IMAGEMILL_NATS_TOKEN", "short")
	_, err := makeSecrets(t, dir)
	require.ErrorContains(t, err, "IMAGEMILL_CLUSTER_TOKEN (--cluster-token): the value is a placeholder")
	require.ErrorContains(t, err, "IMAGEMILL_NATS_TOKEN (--nats-token): the value is shorter than 16")

	t.Setenv("IMAGEMILL_CLUSTER_TOKEN", "")
	t.Setenv("IMAGEMILL_NATS_TOKEN", "")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cluster-token"), []byte("secret-secret-secret"), 0o600))
	_, err = makeSecrets(t, dir)
	require.ErrorContains(t, err, "cluster-token: the value is a placeholder")
	require.Equal(t, "secret-secret-secret", content(t, dir, "cluster-token"), "never overwritten")
}

func TestAnOpenPortNeedsKeysBeforeAnythingStarts(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("IMAGEMILL_FRONTEND_PUBLISHED", "0.0.0.0")
	_, err := makeSecrets(t, dir)
	require.ErrorContains(t, err, "set IMAGEMILL_FRONTEND_API_KEYS")
	t.Setenv("IMAGEMILL_FRONTEND_API_KEYS", "4be1a7d09c53f268,changeme-changeme-changeme")
	_, err = makeSecrets(t, dir)
	require.ErrorContains(t, err, "IMAGEMILL_FRONTEND_API_KEYS: key 2 is a placeholder")
	require.NotContains(t, err.Error(), "changeme")
	require.NoFileExists(t, filepath.Join(dir, "cluster-token"))
	t.Setenv("IMAGEMILL_FRONTEND_API_KEYS", "4be1a7d09c53f268")
	_, err = makeSecrets(t, dir)
	require.NoError(t, err)
}

func TestSecretsNeedAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := makeSecrets(t, file)
	require.ErrorContains(t, err, "make folder of secrets")
}
