package e2e_test

import (
	"maps"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
	"imagemill/internal/volume/volumetest"
	"imagemill/services/taskdb/postgres/postgrestest"
)

// chaosLength is how long faults are made: IMAGEMILL_E2E_MINUTES, which may have a
// fraction, or standard.
func chaosLength(t *testing.T, standard time.Duration) time.Duration {
	t.Helper()
	if testing.Short() {
		standard /= 2
	}
	v := os.Getenv("IMAGEMILL_E2E_MINUTES")
	if v == "" {
		return standard
	}
	minutes, err := strconv.ParseFloat(v, 64)
	require.NoError(t, err, "IMAGEMILL_E2E_MINUTES")
	return time.Duration(minutes * float64(time.Minute))
}

// Whatever is killed, stopped, cut off, full or set to another hour, and whenever: every accepted
// upload ends in exactly one result with the right content, and nothing is left
// lying about. IMAGEMILL_E2E_MINUTES says for how long, IMAGEMILL_E2E_SEED
// repeats what is done to whom, IMAGEMILL_E2E_UPLOADS says how many uploads a
// minute there are.
func TestChaos(t *testing.T) {
	p := e2e.NewProcesses(t, os.Getenv(binaryEnv))
	p.Linked = true
	l := newLab(t, p)
	l.clocks = []string{"taskdb", "storage"}
	if os.Geteuid() == 0 {
		for _, service := range []string{"storage", "taskdb"} {
			l.addDisk(service, volumetest.New(t, diskSize))
		}
	} else {
		t.Log("no disk gets full: that takes root, who can mount a small one")
	}
	l.run(chaosLength(t, 20*time.Second))
}

// The same on PostgreSQL, which is killed and stopped like the others, with two
// taskdb over it.
func TestChaosPostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("TestChaos has a short form; this one takes longer")
	}
	server := postgrestest.Start(t)
	p := e2e.NewProcesses(t, os.Getenv(binaryEnv), "IMAGEMILL_TASKDB_DATABASE="+server.Database(t))
	p.Linked = true
	p.Count["taskdb"] = 2
	l := newLab(t, p)
	l.postgres = server
	l.run(chaosLength(t, 15*time.Second))
}

// The same with two storages that hold a copy each of what was accepted.
func TestChaosReplicas(t *testing.T) {
	p := suite(t, "IMAGEMILL_STORAGE_REPLICAS=2", "IMAGEMILL_STORAGE_REPLICA_WAIT=2s")
	p.Linked = true
	p.Count["storage"] = 2
	l := newLab(t, p)
	l.clocks = []string{"taskdb", "storage-1", "storage-2"}
	l.run(chaosLength(t, 15*time.Second))
	p.Eventually("both storages hold the same", func() bool {
		return maps.Equal(held(t, p, "storage-1"), held(t, p, "storage-2"))
	})
}
