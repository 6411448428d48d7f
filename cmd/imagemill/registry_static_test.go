//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"imagemill/e2e"
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
	at := freePorts(t, 8)
	task, blobs, masters, workers, front, nats := at[0], at[1], at[2:4], at[4:6], at[6], at[7]
	url := func(addrs ...string) string { return "http://" + strings.Join(addrs, ",http://") }
	env := func(service, addr string, more ...string) []string {
		dir := t.TempDir()
		return append([]string{
			"IMAGEMILL_DISCOVERY=static://frontend=" + url(front) + ",taskdb=" + url(task) + ",storage=" + url(blobs) +
				",imagemaster=" + url(masters...) + ",worker=" + url(workers...),
			"IMAGEMILL_NATS=nats://" + nats, "IMAGEMILL_LINGER=0s", "IMAGEMILL_LOG_LEVEL=warn", "IMAGEMILL_FRONTEND_INTERNAL_LISTEN=",
			"IMAGEMILL_" + strings.ToUpper(service) + "_LISTEN=" + addr,
			"IMAGEMILL_TASKDB_PATH=" + filepath.Join(dir, "tasks.db"), "IMAGEMILL_STORAGE_DATA=" + dir,
			"IMAGEMILL_STORAGE_MIN_FREE=0", "IMAGEMILL_WORKER_SCRATCH=" + dir,
		}, more...)
	}
	startProgram(t, []string{"IMAGEMILL_LOG_LEVEL=warn"}, "nats", "--listen", nats)
	for _, s := range []struct {
		service string
		addrs   []string
	}{{"frontend", []string{front}}, {"worker", workers}, {"imagemaster", masters}, {"storage", []string{blobs}}, {"taskdb", []string{task}}} {
		for _, addr := range s.addrs {
			startProgram(t, env(s.service, addr), s.service)
		}
	}
	for _, addr := range at[:7] {
		awaitReady(t, addr)
	}
	e2e.Run(t, suiteAt(front))
}
