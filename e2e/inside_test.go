package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// insideRoutes are what each service answers to others of the suite only, beside
// what all of them have for operators. x stands for a parameter.
var insideRoutes = map[string][]string{
	"frontend": {},
	"imagemaster": {
		"POST /newImage", "GET /isReady?id=x", "GET /get?id=x", "HEAD /get?id=x", "GET /getWork?worker=x", "POST /workFinished", "POST /workFinished/all",
		"POST /workFailed", "POST /workProgress", "POST /workReleased", "GET /images?state=failed", "DELETE /images/x", "POST /images/x/cancel",
		"POST /images/x/retry", "POST /images/retry",
	},
	"worker": {},
	"storage": {
		"GET /blobs/finished", "GET /blobs/inProgress/x", "PUT /blobs/inProgress/x", "DELETE /blobs/inProgress/x", "HEAD /blobs/finished/x",
		"GET /replication/log", "GET /replication/blobs/finished/x", "HEAD /replication/blobs/finished/x",
	},
	"taskdb": {
		"POST /tasks", "POST /records", "GET /tasks/x", "GET /tasks?state=finished", "DELETE /tasks/x", "POST /tasks/x/cancel", "POST /tasks/x/fail",
		"POST /tasks/x/finish", "POST /tasks/x/lease", "POST /tasks/x/release", "POST /tasks/x/retry", "POST /tasks/x/state", "POST /claims",
		"GET /stats", "GET /notStarted", "GET /inProgress", "GET /finished", "POST /failed/retry", "POST /leases/expire", "POST /purge", "POST /twins",
	},
	"kvstore": {
		"GET /v1/kv/services/?recurse", "PUT /v1/kv/x", "DELETE /v1/kv/services/?recurse", "PUT /v1/session/create", "GET /v1/session/list", "PUT /v1/txn",
		"GET /v1/status/leader", "GET /v1/status/peers", "GET /v1/agent/self", "GET /v1/agent/members", "PUT /v1/agent/leave", "PUT /v1/agent/force-leave/x",
	},
}

// A route that is added to a service has to be tried from outside as well.
func TestInsideRoutesAreComplete(t *testing.T) {
	registered := regexp.MustCompile(`\be\.(GET|HEAD|POST|PUT|DELETE)\("([^"]+)"`)
	for _, service := range []string{"imagemaster", "storage", "taskdb"} {
		tried := map[string]bool{}
		for _, call := range insideRoutes[service] {
			path, _, _ := strings.Cut(call, "?")
			tried[path] = true
		}
		files, err := filepath.Glob("../services/" + service + "/*.go")
		require.NoError(t, err)
		more, err := filepath.Glob("../services/" + service + "/replication/*.go")
		require.NoError(t, err)
		found := 0
		for _, name := range append(files, more...) {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			source, err := os.ReadFile(name)
			require.NoError(t, err)
			for _, m := range registered.FindAllStringSubmatch(string(source), -1) {
				if m[2] == "/" {
					continue // the begin of one that is put together
				}
				path := strings.NewReplacer(":state", "*", ":key", "x", ":id", "x").Replace(m[2])
				call := m[1] + " " + path
				ok := tried[call]
				for _, state := range []string{"finished", "inProgress"} {
					ok = ok || tried[strings.Replace(call, "*", state, 1)]
				}
				require.True(t, ok, "%s: %s is not tried", service, call)
				found++
			}
		}
		require.Greater(t, found, 4, service)
	}
}
