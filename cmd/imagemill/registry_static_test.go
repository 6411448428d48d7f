//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
	"imagemill/services/taskdb/postgres/postgrestest"
)

// suiteAt is a suite whose frontend has a fixed address.
type suiteAt string

func (s suiteAt) URL() string { return "http://" + string(s) }

// All services, each in a process of its own, find each other by addresses that
// are written down, two of what can be two, with no registry anywhere.
func TestStaticRegistry(t *testing.T) {
	if testing.Short() {
		t.Skip("starts eight processes; make test runs it")
	}
	url, ready := startStatic(t, 1, "")
	ready()
	e2e.Run(t, suiteAt(url))
}

// The same over PostgreSQL, with two taskdb processes, which have to wait for the
// database.
func TestPostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("starts nine processes and PostgreSQL; make test runs it")
	}
	pg := postgrestest.Start(t)
	database := pg.Database(t)
	pg.Kill()
	url, ready := startStatic(t, 2, database)
	require.NoError(t, pg.Launch())
	ready()
	e2e.Run(t, suiteAt(url))
}

// startStatic starts the suite with so many taskdb processes, on a PostgreSQL where
// one is named, and gives the frontend's address and what waits until all are ready.
func startStatic(t *testing.T, taskdbs int, database string) (front string, ready func()) {
	t.Helper()
	at := freePorts(t, 7+taskdbs)
	blobs, masters, workers, front, nats, tasks := at[0], at[1:3], at[3:5], at[5], at[6], at[7:]
	url := func(addrs ...string) string { return "http://" + strings.Join(addrs, ",http://") }
	env := func(service, addr string) []string {
		dir := t.TempDir()
		return []string{
			"IMAGEMILL_DISCOVERY=static://frontend=" + url(front) + ",taskdb=" + url(tasks...) + ",storage=" + url(blobs) +
				",imagemaster=" + url(masters...) + ",worker=" + url(workers...),
			"IMAGEMILL_NATS=nats://" + nats, "IMAGEMILL_LINGER=0s", "IMAGEMILL_LOG_LEVEL=warn", "IMAGEMILL_FRONTEND_INTERNAL_LISTEN=",
			"IMAGEMILL_" + strings.ToUpper(service) + "_LISTEN=" + addr,
			"IMAGEMILL_TASKDB_PATH=" + filepath.Join(dir, "tasks.db"), "IMAGEMILL_STORAGE_DATA=" + dir,
			"IMAGEMILL_STORAGE_MIN_FREE=0", "IMAGEMILL_WORKER_SCRATCH=" + dir, "IMAGEMILL_TASKDB_DATABASE=" + database,
		}
	}
	startProgram(t, []string{"IMAGEMILL_LOG_LEVEL=warn"}, "nats", "--listen", nats)
	for _, s := range []struct {
		service string
		addrs   []string
	}{{"frontend", []string{front}}, {"worker", workers}, {"imagemaster", masters}, {"storage", []string{blobs}}, {"taskdb", tasks}} {
		for _, addr := range s.addrs {
			startProgram(t, env(s.service, addr), s.service)
		}
	}
	return front, func() {
		t.Helper()
		for _, addr := range at {
			if addr != nats {
				awaitReady(t, addr)
			}
		}
	}
}

// What keeps PostgreSQL from being used ends the start in words, without the
// password.
func TestADatabaseThatCannotBeUsedEndsTheStart(t *testing.T) {
	err := startFails(t, "taskdb", "--listen", anyPort, "--database", "mysql://imagemill:hunter2@db/tasks")
	require.ErrorContains(t, err, "IMAGEMILL_TASKDB_DATABASE (--database)")
	require.NotContains(t, err.Error(), "hunter2")
	pg := postgrestest.Start(t, "fsync=off")
	t.Setenv("IMAGEMILL_TASKDB_DATABASE", pg.Database(t))
	err = startFails(t, "taskdb", "--listen", anyPort)
	for _, part := range []string{"taskdb: IMAGEMILL_TASKDB_DATABASE: ", "fsync=off", "set fsync=on"} {
		require.ErrorContains(t, err, part)
	}
	require.NotContains(t, err.Error(), "unused")
}
