package kvstore

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery/consultest"
)

// cliSession is a session at the shell, as an operator might have it. consul 1.13
// has no command for sessions; operators use curl.
const cliSession = `
say() { echo "\$ $*"; "$@" 2>&1; echo "-> $?"; }
say consul kv get none
say consul kv put a/one 1
say consul kv put a/two
say consul kv put -flags=42 a/three "$(printf 'two\nlines')"
say consul kv put -base64 a/four Zm91cg==
printf 'from stdin' | say consul kv put a/five -
say consul kv get a/one
say consul kv get -detailed a/three
say consul kv get -base64 a/four
say consul kv get -keys
say consul kv get -keys a/
say consul kv get -keys -separator= a
say consul kv get -recurse a/
say consul kv get -recurse -detailed a/
say consul kv get -recurse none
say consul kv get -stale a/one
say consul kv get -datacenter=elsewhere a/one
say consul kv put -cas a/one x
say consul kv put -cas -modify-index=1 a/one x
say consul kv put -cas -modify-index=0 a/six x
say consul kv put -cas -modify-index="$(consul kv get -detailed a/one | awk '/^ModifyIndex/ {print $2}')" a/one changed
say consul kv get a/one
say consul kv put -acquire a/one x
say consul kv put -acquire -session=nobody a/one x
id=$(curl -s -X PUT "$CONSUL_HTTP_ADDR/v1/session/create" -d '{"Name":"shell","LockDelay":"0s"}' | tr -dc '[:alnum:]-' | sed 's/^ID//')
say consul kv put -acquire -session="$id" a/lock mine
say consul kv get -detailed a/lock
say consul kv put -release -session="$id" a/lock free
say consul kv put -release -session="$id" a/lock free
say consul kv put -acquire -session="$id" a/lock mine
say curl -s "$CONSUL_HTTP_ADDR/v1/session/info/$id?pretty"
say curl -s "$CONSUL_HTTP_ADDR/v1/session/list?pretty"
say curl -s -X PUT "$CONSUL_HTTP_ADDR/v1/session/renew/$id?pretty"
say curl -s -X PUT "$CONSUL_HTTP_ADDR/v1/session/destroy/$id?pretty"
say curl -s "$CONSUL_HTTP_ADDR/v1/session/info/$id?pretty"
say consul kv get -detailed a/lock
say consul kv export
consul kv export a/ > export.json
say consul kv delete a/one
say consul kv delete -cas a/two
say consul kv delete -cas -modify-index=1 a/two
say consul kv delete none
say consul kv delete -recurse a/
say consul kv get -keys
say consul kv import @export.json
say consul kv import '[{"key":"b","flags":7,"value":"Yg=="}]'
say consul kv import '{'
say consul kv get -recurse
say consul kv export
say consul kv put '' x
say consul kv put /slash x
say consul kv get slash
head -c 524289 /dev/zero | tr '\0' x > big
say consul kv put big @big
say consul watch -type=key -key=b
say consul watch -type=key -key=none
say consul watch -type=keyprefix -prefix=a/
say consul watch -type=keyprefix -prefix=none/
say consul lock -verbose locks/one echo inside
say consul lock locks/one 'consul kv get -keys locks/one/; exit 3'
say consul lock -n=2 locks/two echo inside
say consul lock -child-exit-code locks/one 'exit 3'
say consul lock -try=1s locks/one 'consul lock -try=300ms locks/one echo never'
say consul lock -n=2 locks/two 'consul lock -n=2 -try=300ms locks/two echo second; consul lock -n=3 -try=300ms locks/two echo never'
say consul kv delete -recurse ''
`

// TestParityCLI has the same session at the shell with a real Consul and with
// this store: it must print the same, but for IDs and indexes.
func TestParityCLI(t *testing.T) {
	real, own := bothSides(t)
	want, got := shell(t, real, cliSession), shell(t, own, cliSession)
	for i := range min(len(want), len(got)) {
		require.Equal(t, want[i], got[i], "line %d, below %q", i, want[max(i-5, 0):i])
	}
	require.Equal(t, len(want), len(got), "lines; the last are %q and %q", want[len(want)-1], got[len(got)-1])
	assert.Contains(t, got, "Success! Data written to: a/one")
	t.Logf("%d lines compared", len(got))
}

// shell runs a script against a store and gives what it prints, with ranks in
// place of indexes and IDs.
func shell(t *testing.T, s *side, script string) []string {
	t.Helper()
	bin := t.TempDir()
	require.NoError(t, os.Symlink(consultest.Program(t), bin+"/consul"))
	for _, tool := range []string{"bash", "curl", "awk"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("IMAGEMILL_CI") == "1" {
				t.Fatalf("the script needs %s: %v", tool, err)
			}
			t.Skipf("the script needs %s: %v", tool, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "CONSUL_HTTP_ADDR="+s.url, "PATH="+bin+":"+os.Getenv("PATH"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Run(), "%s", out.String())
	text := strings.ReplaceAll(out.String(), s.url, "URL")
	return strings.Split(ranked([]answer{{body: text}})[0], "\n")
}
