package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"imagemill/e2e"
	"imagemill/services/taskdb"
)

// compose prepares a stack of containers, or skips the test: nobody expects
// "go test" to start dozens of them.
func compose(t *testing.T, env map[string]string) *e2e.Compose {
	t.Helper()
	if os.Getenv("IMAGEMILL_E2E_COMPOSE") != "1" {
		t.Skip("starts containers for minutes; make e2e-compose runs it")
	}
	return e2e.NewCompose(t, env)
}

// The README's walk through the stack, word for word.
func TestComposeWalk(t *testing.T) {
	c := compose(t, nil)
	readme, err := os.ReadFile(filepath.Join(c.Root, "README.md"))
	require.NoError(t, err)
	m := regexp.MustCompile("(?s)<!-- walk: compose -->\n+```sh\n(.*?)```").FindStringSubmatch(string(readme))
	require.NotNil(t, m)
	results, photo := t.TempDir(), filepath.Join(t.TempDir(), "photo.jpg")
	require.NoError(t, os.WriteFile(photo, e2e.Photograph(t, "branches.jpg"), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euc", c.Shim()+m[1])
	cmd.Dir = c.Root
	cmd.Env = append(os.Environ(), "PHOTO="+photo, "TMPDIR="+results)
	cmd.Env = append(cmd.Env, c.Environ()...)
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	result, err := os.ReadFile(filepath.Join(results, "first.jpg"))
	require.NoError(t, err, "%s", said)
	e2e.CheckSwapped(t, e2e.Photograph(t, "branches.jpg"), result)
	require.Empty(t, c.Containers(""), "down has ended them")
}

// The scenarios pass over the shipped compose file, and what was accepted
// outlives "down".
func TestCompose(t *testing.T) {
	c := compose(t, nil)
	began := time.Now()
	c.Up(nil)
	cl := e2e.NewClient(c)
	defer cl.Close()
	id := cl.Upload(t, picture(t, 7), "")
	t.Logf("up to the first accepted upload: %s", time.Since(began).Round(time.Millisecond))
	cl.Finished(t, id)

	t.Run("scenarios", func(t *testing.T) { e2e.Run(t, c) })
	t.Run("closed to the outside", func(t *testing.T) { closedOutside(t, c) })
	t.Run("closed inside", func(t *testing.T) { closedInside(t, c) })
	t.Run("libvips in engines only", func(t *testing.T) { nativeEngine(t, c, cl) })
	t.Run("down and up", func(t *testing.T) {
		before := taskStats(t, c)
		c.Run("down", "--timeout", "25")
		require.Empty(t, c.Containers(""))
		c.Up(nil)
		require.Equal(t, before, taskStats(t, c))
		again := e2e.NewClient(c)
		defer again.Close()
		again.Finished(t, id)
		require.NoError(t, checkPicture(7, again.Download(t, id, "").Body))
	})
	t.Run("two stacks side by side", func(t *testing.T) {
		other := compose(t, nil)
		other.Up(nil)
		second := e2e.NewClient(other)
		defer second.Close()
		second.Finished(t, second.Upload(t, picture(t, 8), ""))
		a := second.Must(t, http.MethodGet, "/image/isReady?id="+id, nil)
		require.Equal(t, http.StatusNotFound, a.Status, "the stacks share nothing")
		require.NoError(t, checkPicture(7, e2e.NewClient(c).Download(t, id, "").Body))
	})
	t.Run("down -v", func(t *testing.T) {
		c.Run("down", "-v", "--timeout", "25")
		filter := "label=com.docker.compose.project=" + c.Project
		require.Empty(t, e2e.Docker(t, "ps", "-aq", "--filter", filter))
		require.Empty(t, e2e.Docker(t, "volume", "ls", "-q", "--filter", filter))
		require.Empty(t, e2e.Docker(t, "network", "ls", "-q", "--filter", filter))
	})
}

// nativeEngine has the image make what only the native engine can, while none of
// its services maps libvips: the libraries would be resident in each of them.
func nativeEngine(t *testing.T, c *e2e.Compose, cl *e2e.Client) {
	id := cl.Upload(t, picture(t, 9), "?format=webp")
	cl.Finished(t, id)
	require.Equal(t, "image/webp", cl.Download(t, id, "").Header.Get("Content-Type"))
	for _, k := range c.Containers("") {
		if k.Service() == "nats" {
			continue // it has no cat
		}
		maps := e2e.Docker(t, "exec", k.ID, "cat", "/proc/1/maps")
		require.Contains(t, maps, "/usr/local/bin/imagemill", k.Name)
		require.NotContains(t, maps, "libvips", k.Name)
		require.NotContains(t, maps, "libc.so", k.Name)
	}
}

// taskStats counts the tasks by state.
func taskStats(t *testing.T, c *e2e.Compose) map[taskdb.State]int64 {
	t.Helper()
	var states map[taskdb.State]int64
	c.Eventually("taskdb answers", func() bool {
		db := c.Containers("taskdb")
		if len(db) == 0 {
			return false
		}
		s, err := taskdb.NewClient(db[0].Base(), c.Internal()).Stats(t.Context())
		states = s.States
		return err == nil && states[taskdb.NotStarted]+states[taskdb.InProgress] == 0
	})
	return states
}

// closedOutside has every container run with as few rights as can be, and no
// port open on the host but the frontend's, on loopback.
func closedOutside(t *testing.T, c *e2e.Compose) {
	all := c.Containers("")
	require.Len(t, all, 7, "six services and NATS")
	for _, k := range all {
		h := k.HostConfig
		require.NotContains(t, []string{"", "0", "root"}, k.Config.User, k.Name)
		require.True(t, h.ReadonlyRootfs, k.Name)
		require.False(t, h.Privileged, k.Name)
		require.Empty(t, h.CapAdd, k.Name)
		require.Equal(t, []string{"ALL"}, h.CapDrop, k.Name)
		require.True(t, slices.ContainsFunc(h.SecurityOpt, func(o string) bool {
			return strings.HasPrefix(o, "no-new-privileges") && !strings.HasSuffix(o, "false")
		}), k.Name)
		require.NotZero(t, h.Memory, "%s has a memory limit", k.Name)
		require.Equal(t, "unless-stopped", h.RestartPolicy.Name, k.Name)
		for port, bound := range k.NetworkSettings.Ports {
			if k.Service() == "frontend" && port == "8080/tcp" {
				require.Len(t, bound, 1)
				require.Equal(t, "127.0.0.1", bound[0].HostIP)
				continue
			}
			require.Empty(t, bound, "%s %s", k.Name, port)
		}
	}
	for _, ip := range hostAddresses(t) {
		for _, port := range publishedPorts(c) {
			conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", net.JoinHostPort(ip, port))
			if err == nil {
				_ = conn.Close()
			}
			require.Errorf(t, err, "%s:%s is open to the network", ip, port)
		}
	}
}

// hostAddresses lists this host's addresses other than loopback.
func hostAddresses(t *testing.T) (ips []string) {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			ips = append(ips, n.IP.String())
		}
	}
	return ips
}

// publishedPorts are the host's ports of the frontends.
func publishedPorts(c *e2e.Compose) (ports []string) {
	for _, u := range c.URLs() {
		_, port, _ := strings.Cut(strings.TrimPrefix(u, "http://"), ":")
		ports = append(ports, port)
	}
	return ports
}

// closedInside asks NATS, and calls every route of every internal service without the cluster
// token and with a wrong one.
func closedInside(t *testing.T, c *e2e.Compose) {
	for _, k := range c.Containers("nats") {
		for _, token := range []string{"", "wrong"} {
			conn, err := nats.Connect("nats://"+net.JoinHostPort(k.Address(), "4222"), nats.Token(token), nats.Timeout(time.Minute))
			if err == nil {
				conn.Close()
			}
			require.ErrorIs(t, err, nats.ErrAuthorization, "NATS with the token %q", token)
		}
	}
	hc := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
	defer hc.CloseIdleConnections()
	for service, calls := range insideRoutes {
		for _, k := range c.Containers(service) {
			base := k.Base()
			if service == "frontend" {
				base = "http://" + net.JoinHostPort(k.Address(), "8090") // its listener for operators
			}
			for _, call := range slices.Concat(calls, []string{"GET /metrics", "GET /config", "GET /services", "GET /debug/pprof/"}) {
				for name, token := range map[string]string{"": "", "Authorization": "Bearer wrong", "X-Consul-Token": "wrong"} {
					method, path, _ := strings.Cut(call, " ")
					req, err := http.NewRequestWithContext(t.Context(), method, base+path, http.NoBody)
					require.NoError(t, err)
					if name != "" {
						req.Header.Set(name, token)
					}
					resp, err := hc.Do(req)
					require.NoError(t, err)
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					require.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, resp.StatusCode,
						fmt.Sprintf("%s %s with %q", service, call, name))
				}
			}
		}
	}
}
