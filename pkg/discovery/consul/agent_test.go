//go:build unix

package consul_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery/consultest"
)

// agent is a real Consul in development mode.
type agent struct {
	t         *testing.T
	path      string
	args      []string
	http, dns string // addresses
	client    *api.Client
	cmd       *exec.Cmd
	log       *bytes.Buffer
	done      chan struct{}
}

// startAgent runs a Consul until the test ends; config is more of it, in HCL.
func startAgent(t *testing.T, config, token string) *agent {
	t.Helper()
	a := &agent{t: t, path: consultest.Program(t)}
	ports := freePorts(t, 5)
	a.http, a.dns = fmt.Sprint("127.0.0.1:", ports[0]), fmt.Sprint("127.0.0.1:", ports[1])
	a.args = []string{
		"agent", "-dev", "-bind=127.0.0.1", "-grpc-port=-1", "-log-level=warn", "-node=test",
		fmt.Sprint("-http-port=", ports[0]), fmt.Sprint("-dns-port=", ports[1]), fmt.Sprint("-server-port=", ports[2]),
		fmt.Sprint("-serf-lan-port=", ports[3]), fmt.Sprint("-serf-wan-port=", ports[4]),
		"-hcl", `session_ttl_min = "500ms" ` + config,
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	var err error
	a.client, err = api.NewClient(&api.Config{Address: a.http, Token: token, HttpClient: &http.Client{Transport: transport}})
	require.NoError(t, err)
	a.start()
	t.Cleanup(func() {
		a.stop()
		if t.Failed() {
			t.Logf("consul said:\n%s", a.log)
		}
	})
	return a
}

// start begins with nothing, as a Consul in development mode keeps nothing.
func (a *agent) start() {
	a.t.Helper()
	a.cmd, a.log, a.done = exec.Command(a.path, a.args...), &bytes.Buffer{}, make(chan struct{})
	a.cmd.Stdout, a.cmd.Stderr = a.log, a.log
	require.NoError(a.t, a.cmd.Start())
	go func(cmd *exec.Cmd, done chan struct{}) {
		defer close(done)
		_ = cmd.Wait() // how it ended does not matter
	}(a.cmd, a.done)
	require.Eventually(a.t, func() bool {
		leader, err := a.client.Status().Leader()
		if err != nil || leader == "" {
			return false
		}
		// It leads before it knows itself, and a session needs the node.
		nodes, _, err := a.client.Catalog().Nodes(nil)
		return err == nil && len(nodes) == 1
	}, 60*time.Second, 10*time.Millisecond, "consul does not start")
}

func (a *agent) stop() {
	_ = a.cmd.Process.Signal(syscall.SIGCONT)
	_ = a.cmd.Process.Kill()
	<-a.done
}

// freePorts finds ports that were free a moment ago, by TCP and UDP. They are below
// those that systems give to who wants any, as others do all the time.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	ports := make([]int, 0, n)
	for len(ports) < n {
		port := 10000 + rand.IntN(20000)
		at := fmt.Sprint("127.0.0.1:", port)
		tcp, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", at)
		if err != nil {
			continue
		}
		defer func() { _ = tcp.Close() }()
		udp, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", at)
		if err != nil {
			continue
		}
		defer func() { _ = udp.Close() }()
		ports = append(ports, port)
	}
	return ports
}
