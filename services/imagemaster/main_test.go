package imagemaster_test

import (
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/leaktest"
	"imagemill/services/imagemaster"
	"imagemill/services/imagemaster/imagemastertest"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const (
	patience = time.Minute
	tick     = time.Millisecond
)

func testConfig() imagemaster.Config {
	cfg := imagemaster.DefaultConfig()
	cfg.Serve.Listen = "127.0.0.1:0"
	cfg.Serve.Grace = 45 * time.Second // below the longest poll
	cfg.Serve.ReadTimeout, cfg.Lease = time.Minute, 10*time.Minute
	cfg.Poll, cfg.ExpireEvery, cfg.SweepEvery = 10*time.Millisecond, 10*time.Millisecond, 0
	return cfg
}

// tasksConfig is that of a taskdb whose leases outlast whatever a busy machine does.
func tasksConfig() taskdb.Config {
	cfg := taskdb.DefaultConfig()
	cfg.Lease = time.Hour
	return cfg
}

func testDeps(tasks taskdb.Store, blobs storage.Store, bus events.Bus) imagemaster.Deps {
	return imagemaster.Deps{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Instance: "m-1", Version: "test",
		Tasks: tasks, Blobs: blobs, Events: bus,
	}
}

func newService(t *testing.T, cfg imagemaster.Config, deps imagemaster.Deps) *imagemaster.Service {
	t.Helper()
	s, err := imagemaster.New(cfg, deps)
	require.NoError(t, err)
	return s
}

// overHTTP runs a master and gives a client of it.
func overHTTP(t *testing.T, s *imagemaster.Service) (*imagemaster.Client, string) {
	t.Helper()
	run(t, s)
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return imagemaster.NewClient(s.URL(), &http.Client{Transport: tr}), s.URL()
}

func TestService(t *testing.T) {
	imagemastertest.Run(t, func(t *testing.T, env imagemastertest.Env) imagemaster.Master {
		s := newService(t, testConfig(), testDeps(env.Tasks, env.Blobs, env.Events))
		run(t, s)
		return s
	})
}

func TestClientTogether(t *testing.T) {
	imagemastertest.Run(t, func(t *testing.T, env imagemastertest.Env) imagemaster.Master {
		deps := testDeps(env.Tasks, env.Blobs, env.Events)
		deps.Records = taskdb.NewTogether(taskdb.RecorderOf(env.Tasks))
		c, _ := overHTTP(t, newService(t, testConfig(), deps))
		return imagemaster.NewTogether(c)
	})
}

func TestClientOverHTTP(t *testing.T) {
	imagemastertest.Run(t, func(t *testing.T, env imagemastertest.Env) imagemaster.Master {
		c, _ := overHTTP(t, newService(t, testConfig(), testDeps(env.Tasks, env.Blobs, env.Events)))
		return c
	})
}
