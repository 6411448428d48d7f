package serve_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"imagemill/internal/serve"
)

// strong is a secret that nothing can be said against.
const strong = "b3f1c04a9d7e2865b3f1c04a9d7e2860"

func TestWeakSecretsEndAnOpenStart(t *testing.T) {
	for _, weak := range []string{
		"x", "changeme", "s3cret", "fifteen-letters", "changemechangeme", "Change-Me-Please!", "CHANGE_ME_CHANGE_ME",
		"password-password", "my-secret-token-123", "your-api-key-here", "example-token-default", "imagemill-secret",
		"aaaaaaaaaaaaaaaaaaaaaaaa", "abababababababababab", "hunter2hunter2hunter2", "1234567890123456", "abcdefghijklmnop",
		"0000000000000001", "<replace-with-your-token>",
	} {
		err := serve.CheckSecrets(slog.New(slog.DiscardHandler), "storage", true, serve.Secret{Setting: "IMAGEMILL_CLUSTER_TOKEN", Value: weak})
		require.Error(t, err, weak)
		for _, part := range []string{"storage:", "IMAGEMILL_CLUSTER_TOKEN", "openssl rand -hex 32", "127.0.0.1"} {
			require.ErrorContains(t, err, part)
		}
		if len(weak) > 8 {
			require.NotContains(t, err.Error(), weak, "a secret is never shown")
		}
	}
}

func TestRandomSecretsAreNotCalledWeak(t *testing.T) {
	for range 2000 {
		var b [32]byte
		_, err := rand.Read(b[:])
		require.NoError(t, err)
		for _, secret := range []string{
			hex.EncodeToString(b[:]), hex.EncodeToString(b[:12]), base64.StdEncoding.EncodeToString(b[:]), base64.RawURLEncoding.EncodeToString(b[:16]),
		} {
			require.NoError(t, serve.CheckSecrets(nil, "x", true, serve.Secret{Setting: "S", Value: secret}), secret)
		}
	}
	require.NoError(t, serve.CheckSecrets(nil, "x", true, serve.Secret{Setting: "S"}), "what is not set is not weighed")
}

func TestWeakSecretsAreWeighedWhereTheServerListens(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*serve.Config, *serve.App)
		setting string
	}{
		"the token": {func(c *serve.Config, _ *serve.App) { c.Token = "changeme" }, "IMAGEMILL_CLUSTER_TOKEN"},
		"a key": {func(_ *serve.Config, a *serve.App) {
			a.Public, a.Protected = true, true
			a.Secrets = []serve.Secret{{Setting: "IMAGEMILL_FRONTEND_API_KEYS", Value: strong}, {Setting: "IMAGEMILL_FRONTEND_API_KEYS", Value: "example-example-x"}}
		}, "IMAGEMILL_FRONTEND_API_KEYS"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			cfg, a := testConfig(), app(func(*echo.Echo) {})
			a.Log = slog.New(slog.NewTextHandler(&log, nil))
			tc.change(&cfg, &a)
			r := run(t, newServer(t, cfg, a))
			r.stop()
			require.NoError(t, r.end(t), "on loopback it is let pass")
			require.Equal(t, 1, strings.Count(log.String(), "weak secret"), log.String())
			require.Contains(t, log.String(), tc.setting)

			inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			a.Listener = everywhere{inner}
			err = newServer(t, cfg, a).Run(t.Context())
			require.ErrorContains(t, err, tc.setting)
			require.ErrorContains(t, err, "openssl rand -hex 32")
			_, err = inner.Accept()
			require.ErrorIs(t, err, net.ErrClosed, "it stopped listening")
		})
	}
}

func TestListenErrorsSayWhatToDo(t *testing.T) {
	require.Equal(t, "IMAGEMILL_FRONTEND_INTERNAL_LISTEN", serve.ListenSetting("frontend-internal"))
	for cause, want := range map[error]string{
		syscall.EADDRINUSE:              "another program has this port",
		syscall.EACCES:                  "above 1023",
		syscall.EADDRNOTAVAIL:           "127.0.0.1",
		&net.DNSError{Err: "not found"}: "no such host",
		errors.New("broken"):            "choose an address",
	} {
		err := serve.ListenError("taskdb", "IMAGEMILL_TASKDB_LISTEN", "10.0.0.1:80", &net.OpError{Op: "listen", Err: cause})
		require.ErrorIs(t, err, cause)
		for _, part := range []string{"taskdb: IMAGEMILL_TASKDB_LISTEN: cannot listen on 10.0.0.1:80: ", want} {
			require.ErrorContains(t, err, part)
		}
	}
}
