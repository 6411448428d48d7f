package e2e

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Compose is the suite as deploy/compose.yaml runs it: in containers, under a
// project name of its own, from an image that has been built before.
type Compose struct {
	// Project is the name under which Docker keeps the stack's objects.
	Project string
	// Token is the cluster token of the stack.
	Token string
	// Root is the folder of the project.
	Root string

	t    testing.TB
	tool []string
	env  map[string]string
	urls atomic.Pointer[[]string] // of the frontends, as of the last look
	turn atomic.Int64
}

// NewCompose prepares a stack without starting it; env is added to what compose
// sees. Where Docker or the image is missing, the test is skipped, which in CI
// is a failure. Everything is removed when the test ends.
func NewCompose(t testing.TB, env map[string]string) *Compose {
	t.Helper()
	c := &Compose{
		t: t, tool: composeTool(), Root: moduleRoot(t), Token: rand.Text(),
		Project: "imagemill-e2e-" + strings.ToLower(rand.Text()[:8]),
	}
	c.env = map[string]string{
		"IMAGEMILL_CLUSTER_TOKEN": c.Token, "IMAGEMILL_PORT": fmt.Sprint(FreePort(t)), "IMAGEMILL_IMAGE": ComposeImage(),
		"COMPOSE_IGNORE_ORPHANS": "1", "DOCKER_BUILDKIT": "0",
	}
	maps.Copy(c.env, env)
	switch {
	case len(c.tool) == 0:
		missing(t, "neither docker compose nor docker-compose works here")
	case exec.CommandContext(t.Context(), "docker", "image", "inspect", c.env["IMAGEMILL_IMAGE"]).Run() != nil:
		missing(t, "the image is not built; run make airgap image")
	}
	c.urls.Store(&[]string{})
	t.Cleanup(c.close)
	return c
}

// ComposeImage is the image under test; IMAGEMILL_E2E_IMAGE names another one.
func ComposeImage() string { return cmp.Or(os.Getenv("IMAGEMILL_E2E_IMAGE"), "imagemill:latest") }

// missing skips a test for want of something, or fails it in CI.
func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("IMAGEMILL_CI") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// composeTool finds Compose, the plugin before the older program.
func composeTool() []string {
	for _, tool := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		args := append(slices.Clone(tool[1:]), "version")
		daemon := exec.Command("docker", "version")
		if exec.Command(tool[0], args...).Run() == nil && daemon.Run() == nil {
			return tool
		}
	}
	return nil
}

func moduleRoot(t testing.TB) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	require.NoError(t, err)
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// Set changes what compose sees from the next command on.
func (c *Compose) Set(name, value string) { c.env[name] = value }

// Run runs a compose command, which has to succeed, and gives its output.
func (c *Compose) Run(args ...string) string {
	c.t.Helper()
	out, err := c.Try(args...)
	require.NoErrorf(c.t, err, "compose %s: %s", strings.Join(args, " "), out)
	return out
}

// Try runs a compose command.
func (c *Compose) Try(args ...string) (string, error) {
	line := append(slices.Clone(c.tool), "-f", filepath.Join(c.Root, "deploy", "compose.yaml"), "-p", c.Project)
	return command(context.Background(), c.env, append(line, args...)...) // also used when the test's context has ended
}

// Environ is what compose sees, also by its own name for the project.
func (c *Compose) Environ() []string {
	return append(environ(c.env), "COMPOSE_PROJECT_NAME="+c.Project)
}

// Shim is a line of shell after which "docker compose" works also where only
// docker-compose is there.
func (c *Compose) Shim() string {
	if len(c.tool) == 2 {
		return ""
	}
	return `docker() { if [ "$1" = compose ]; then shift; command docker-compose "$@"; else command docker "$@"; fi; }` + "\n"
}

func environ(env map[string]string) (all []string) {
	for k, v := range env {
		all = append(all, k+"="+v)
	}
	return all
}

// Docker runs a docker command, which has to succeed, and gives its output.
func Docker(t testing.TB, args ...string) string {
	t.Helper()
	out, err := command(context.Background(), nil, append([]string{"docker"}, args...)...)
	require.NoErrorf(t, err, "docker %s: %s", strings.Join(args, " "), out)
	return strings.TrimSpace(out)
}

// DockerBuild builds an image from a Dockerfile that needs no other file.
func DockerBuild(t testing.TB, dockerfile, name string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600))
	Docker(t, "build", "-q", "-t", name, dir)
}

// command runs a program for at most five minutes and gives all that it printed.
func command(ctx context.Context, env map[string]string, line ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = append(os.Environ(), environ(env)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Up starts the stack, with so many containers of the named services, and
// waits until every frontend is ready.
func (c *Compose) Up(scale map[string]int) {
	c.t.Helper()
	args := []string{"up", "-d", "--no-build"}
	for _, s := range slices.Sorted(maps.Keys(scale)) {
		args = append(args, "--scale", fmt.Sprintf("%s=%d", s, scale[s]))
	}
	c.Run(args...)
	c.Ready()
}

// Ready waits until every frontend answers that it is.
func (c *Compose) Ready() {
	c.t.Helper()
	c.Eventually("every frontend is ready", func() bool {
		c.Look()
		urls := c.URLs()
		return len(urls) > 0 && !slices.ContainsFunc(urls, func(u string) bool {
			return status(c.t.Context(), c.Internal(), u+"/readyz") != http.StatusOK
		})
	})
}

// Eventually polls a condition.
func (c *Compose) Eventually(what string, cond func() bool) {
	c.t.Helper()
	require.Eventuallyf(c.t, cond, patience, 50*time.Millisecond, "%s", what)
}

// Look finds where the host reaches the frontends that run now.
func (c *Compose) Look() {
	c.t.Helper()
	var urls []string
	for _, f := range c.Containers("frontend") {
		for _, b := range f.NetworkSettings.Ports["8080/tcp"] {
			urls = append(urls, "http://"+net.JoinHostPort(b.HostIP, b.HostPort))
		}
	}
	c.urls.Store(&urls)
}

// URLs are the frontends that the last look found.
func (c *Compose) URLs() []string { return *c.urls.Load() }

// URL names these frontends in turn.
func (c *Compose) URL() string {
	urls := c.URLs()
	return urls[int(c.turn.Add(1))%len(urls)]
}

// Roll replaces the n containers of a service by such as the compose file and
// its settings ask for now. Where there are several, the new ones start before
// the old ones stop, one after the other.
func (c *Compose) Roll(service string, n int) {
	c.t.Helper()
	if n == 1 {
		c.Run("up", "-d", "--no-build", "--no-deps", service)
		return
	}
	old := c.Containers(service)
	c.Run("up", "-d", "--no-build", "--no-deps", "--no-recreate", "--scale", fmt.Sprintf("%s=%d", service, n+len(old)), service)
	c.Ready()
	for _, k := range old {
		Docker(c.t, "stop", "--time", "25", k.ID)
		Docker(c.t, "rm", k.ID)
		c.Look()
	}
}

// Base is where the host reaches a container itself, on the port that its
// service listens on by default.
func (c Container) Base() string {
	port := map[string]string{
		"frontend": "8080", "imagemaster": "8081", "worker": "8085", "taskdb": "8083", "storage": "8084", "kvstore": "8500",
	}[c.Service()]
	return "http://" + c.Address() + ":" + port
}

// Container is what Docker says of a container.
type Container struct {
	ID, Name string
	Image    string
	State    struct {
		Status    string
		StartedAt time.Time
	}
	Config struct {
		User   string
		Labels map[string]string
	}
	HostConfig struct {
		ReadonlyRootfs bool
		Privileged     bool
		CapAdd         []string
		CapDrop        []string
		SecurityOpt    []string
		Memory         int64
		RestartPolicy  struct{ Name string }
	}
	NetworkSettings struct {
		Ports    map[string][]struct{ HostIP, HostPort string }
		Networks map[string]struct{ IPAddress string }
	}
}

// Network is the name of the network that all services share.
func (c *Compose) Network() string {
	return c.Project + "_private"
}

// Address is the container's own, on the network that all services share; ""
// while it has none.
func (c Container) Address() string {
	for name, n := range c.NetworkSettings.Networks {
		if strings.HasSuffix(name, "_private") {
			return n.IPAddress
		}
	}
	return ""
}

// Service is the name of the service in the compose file.
func (c Container) Service() string { return c.Config.Labels["com.docker.compose.service"] }

// Containers lists the running containers of a service, of all for "".
func (c *Compose) Containers(service string) []Container {
	c.t.Helper()
	args := []string{"ps", "-q", "--no-trunc", "--filter", "label=com.docker.compose.project=" + c.Project}
	if service != "" {
		args = append(args, "--filter", "label=com.docker.compose.service="+service)
	}
	ids := strings.Fields(Docker(c.t, args...))
	if len(ids) == 0 {
		return nil
	}
	out, err := command(context.Background(), nil, append([]string{"docker", "inspect"}, ids...)...)
	var all []Container
	if err != nil || json.Unmarshal([]byte(out), &all) != nil {
		return nil // one of them went meanwhile; who asks, asks again
	}
	slices.SortFunc(all, func(a, b Container) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Internal makes a client for calls to the services themselves, which the
// host can reach past the published port, with the cluster token.
func (c *Compose) Internal() *http.Client {
	return &http.Client{Timeout: callTimeout, Transport: bearer{c.Token, &http.Transport{DisableKeepAlives: true}}}
}

// bearer adds the cluster token to every request.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// close shows the logs of a test that failed and removes the stack.
func (c *Compose) close() {
	if c.t.Failed() {
		out, _ := c.Try("logs", "--no-color", "--tail", "40")
		c.t.Log(out)
	}
	if out, err := c.Try("down", "-v", "--timeout", "1"); err != nil {
		c.t.Errorf("compose down: %v: %s", err, out)
	}
}
