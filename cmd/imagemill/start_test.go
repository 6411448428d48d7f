package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/volume/volumetest"
)

// startFails runs the program with arguments that keep it from starting, and
// gives its error.
func startFails(t *testing.T, args ...string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	t.Setenv("IMAGEMILL_LINGER", "0s")
	cmd := root()
	cmd.SetArgs(append(args, "--log-level", "error"))
	cmd.SetOut(io.Discard)
	err := cmd.ExecuteContext(ctx)
	require.NoError(t, ctx.Err(), "it must end by itself, and soon")
	require.Error(t, err)
	return err
}

// folderFlag is the flag that keeps a service's data in the test's folder.
func folderFlag(t *testing.T, service string) []string {
	t.Helper()
	switch service {
	case "kvstore", "storage", "up":
		return []string{"--data", t.TempDir()}
	case "taskdb":
		return []string{"--path", filepath.Join(t.TempDir(), "tasks.db")}
	}
	return nil
}

func TestATakenPortIsSaidPlainly(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	taken := ln.Addr().String()
	type tc struct{ command, flag, setting string }
	cases := []tc{
		{"frontend", "--internal-listen", "IMAGEMILL_FRONTEND_INTERNAL_LISTEN"},
		{"up", "--frontend-listen", "IMAGEMILL_FRONTEND_LISTEN"},
		{"up", "--kvstore-listen", "IMAGEMILL_KVSTORE_LISTEN"},
		{"up", "--storage-listen", "IMAGEMILL_STORAGE_LISTEN"},
	}
	for command, setting := range map[string]string{
		"kvstore": "IMAGEMILL_KVSTORE_LISTEN", "nats": "IMAGEMILL_NATS_LISTEN", "taskdb": "IMAGEMILL_TASKDB_LISTEN",
		"storage": "IMAGEMILL_STORAGE_LISTEN", "imagemaster": "IMAGEMILL_IMAGEMASTER_LISTEN",
		"worker": "IMAGEMILL_WORKER_LISTEN", "frontend": "IMAGEMILL_FRONTEND_LISTEN",
	} {
		cases = append(cases, tc{command, "--listen", setting})
	}
	for _, c := range cases {
		t.Run(c.command+" "+c.flag, func(t *testing.T) {
			args := append([]string{c.command, c.flag, taken}, folderFlag(t, c.command)...)
			if c.command == "frontend" && c.flag != "--listen" || c.command == "up" && c.flag != "--frontend-listen" {
				args = append(args, map[string]string{"frontend": "--listen", "up": "--frontend-listen"}[c.command], anyPort)
			}
			err := startFails(t, args...)
			for _, part := range []string{c.setting, taken, "another program has this port", "choose another port"} {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

func TestAWeakSecretEndsAnOpenStart(t *testing.T) {
	err := startFails(t, "nats", "--listen", "0.0.0.0:0", "--nats-token", "changeme")
	for _, part := range []string{"IMAGEMILL_NATS_TOKEN", "openssl rand -hex 32"} {
		require.ErrorContains(t, err, part)
	}
	err = startFails(t, append([]string{"storage", "--listen", "0.0.0.0:0", "--cluster-token", "secretsecretsecret"}, folderFlag(t, "storage")...)...)
	for _, part := range []string{"storage:", "IMAGEMILL_CLUSTER_TOKEN", "openssl rand -hex 32"} {
		require.ErrorContains(t, err, part)
	}
	err = startFails(t, "frontend", "--listen", "0.0.0.0:0", "--api-keys", "changeme-changeme", "--internal-listen", "")
	for _, part := range []string{"frontend:", "IMAGEMILL_FRONTEND_API_KEYS", "openssl rand -hex 32"} {
		require.ErrorContains(t, err, part)
	}
}

// Each service that keeps data says which folder it cannot write, and why.
func TestAFolderThatCannotBeWrittenEndsTheStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, c := range []struct{ service, flag, name, setting string }{
		{"storage", "--data", "storage", "storage: IMAGEMILL_STORAGE_DATA"},
		{"taskdb", "--path", "taskdb/tasks.db", "taskdb: IMAGEMILL_TASKDB_PATH"},
		{"kvstore", "--data", "kvstore", "kvstore: IMAGEMILL_KVSTORE_DATA"},
		{"worker", "--scratch", "scratch", "worker: IMAGEMILL_WORKER_SCRATCH"},
		{"up", "--data", "data", "up: IMAGEMILL_UP_DATA"},
	} {
		fails := func(t *testing.T, below string, parts ...string) {
			t.Helper()
			listen := "--listen"
			if c.service == "up" {
				listen = "--frontend-listen"
			}
			path := filepath.Join(below, filepath.FromSlash(c.name))
			err := startFails(t, c.service, c.flag, path, listen, anyPort)
			for _, part := range append(parts, c.setting+": ", below) {
				require.ErrorContains(t, err, part)
			}
			require.NotContains(t, err.Error(), "sqlite", "in plain words")
		}
		setting := strings.ReplaceAll(c.setting, ": ", " ")
		if c.service == "up" {
			c.setting = "up: IMAGEMILL_UP_DATA (--data)"
		}
		t.Run(setting+" no folder", func(t *testing.T) { fails(t, file, "not a folder", "name another path") })
		t.Run(setting+" read-only", func(t *testing.T) {
			disk := volumetest.New(t, 1<<20)
			disk.ReadOnly(t)
			fails(t, disk.Dir, "read-only", "mount it writable")
		})
		t.Run(setting+" full", func(t *testing.T) {
			disk := volumetest.New(t, 1<<20)
			disk.Fill(t)
			fails(t, disk.Dir, "no space left", "enlarge the volume")
		})
	}
}
