package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/settings"
	"imagemill/services/kvstore"
)

// tool runs a subcommand as an operator would and gives what it printed.
func tool(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd, out := root(), &output{}
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(io.Discard)
	cmd.SetIn(strings.NewReader(stdin))
	err := cmd.ExecuteContext(ctx)
	require.NoError(t, ctx.Err(), "it must end by itself")
	return out.String(), err
}

// says runs a subcommand that must succeed.
func says(t *testing.T, args ...string) string {
	t.Helper()
	out, err := tool(t, "", args...)
	require.NoError(t, err, "%v", args)
	return out
}

// refuses runs a subcommand that must fail and gives its error.
func refuses(t *testing.T, args ...string) error {
	t.Helper()
	out, err := tool(t, "", args...)
	require.Error(t, err, "%v: %s", args, out)
	return err
}

// startRegistry runs a kvstore alone and points the tools at it.
func startRegistry(t *testing.T) {
	t.Helper()
	cfg := kvstore.MemConfig()
	c := defaultCommon()
	require.NoError(t, c.open("kvstore", io.Discard))
	svc, err := kvstore.New(cfg, kvstore.Deps{Log: c.log, Version: "test"})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	t.Cleanup(func() { cancel(); assert.NoError(t, <-done) })
	require.Eventually(t, func() bool { return svc.URL() != "" }, time.Minute, time.Millisecond)
	t.Setenv("IMAGEMILL_DISCOVERY", "consul://"+strings.TrimPrefix(svc.URL(), "http://"))
}

func TestConfigChecksBeforeItWrites(t *testing.T) {
	startRegistry(t)
	require.Contains(t, says(t, "config", "set", "worker/engines", "4"), "worker/engines is set")
	require.Equal(t, "4\n", says(t, "config", "get", "worker/engines"))
	err := refuses(t, "config", "set", "worker/engines", "0")
	require.ErrorIs(t, err, discovery.ErrInvalidSetting)
	require.ErrorContains(t, err, "1 to 1024")
	require.Equal(t, "4\n", says(t, "config", "get", "worker/engines"), "nothing was written")
	err = refuses(t, "config", "set", "worker/engine", "4")
	require.ErrorIs(t, err, settings.ErrUnknown)
	require.ErrorContains(t, err, "worker/engines")
	require.ErrorIs(t, refuses(t, "config", "set", "a b", "4"), discovery.ErrInvalidSetting)
	require.ErrorIs(t, refuses(t, "config", "get", "worker/engine"), settings.ErrUnknown)
	require.ErrorIs(t, refuses(t, "config", "unset", "worker/engine"), settings.ErrUnknown)
	require.ErrorContains(t, refuses(t, "config", "get", "log/level"), "not set")
	require.Contains(t, says(t, "config", "unset", "worker/engines"), "no longer set")
	require.Contains(t, says(t, "config", "unset", "worker/engines"), "was not set")

	_, err = tool(t, `{"renditions":[{"operations":[{"op":"blur"}]}]}`, "config", "set", "presets/soft", "-")
	require.ErrorContains(t, err, "renditions[0].operations[0].sigma")
	_, err = tool(t, "\n"+`{"renditions":[{"operations":[{"op":"blur","sigma":2}]}]}`+"\n", "config", "set", "presets/soft", "-")
	require.NoError(t, err)
	_, err = tool(t, strings.Repeat(" ", 1<<20), "config", "set", "presets/soft", "-")
	require.Error(t, err)

	var all []changeLine
	require.NoError(t, json.Unmarshal([]byte(says(t, "config", "get", "--json")), &all))
	require.Len(t, all, 1)
	require.Equal(t, "presets/soft", all[0].Name)
	require.Contains(t, *all[0].Value, `"sigma":2`)
	require.Equal(t, writerName(), all[0].Writer)
}

func TestConfigShowsWhatOthersWrote(t *testing.T) {
	startRegistry(t)
	o := operator{common: defaultCommon()}
	o.common.Registry.Discovery = os.Getenv("IMAGEMILL_DISCOVERY")
	require.NoError(t, o.withStore(t.Context(), io.Discard, func(ctx context.Context, store discovery.SettingsStore) error {
		return errors.Join(store.PutSetting(ctx, "log/level", "loud\x1b[2J", ""), store.PutSetting(ctx, "no/such", "1", "bob@host"))
	}))
	table := says(t, "config", "get")
	require.Regexp(t, `(?m)^log/level +loud·\[2J +unknown +REFUSED: .*allowed is debug`, table)
	require.Regexp(t, `(?m)^no/such +1 +bob@host +REFUSED: no service knows it`, table)
	require.Regexp(t, `(?m)^worker/engines +-$`, table)
	require.NotContains(t, table, "\x1b", "nothing steers the terminal")
	require.Contains(t, says(t, "config", "unset", "no/such"), "no longer set")
}

func TestConfigWatchShowsEveryChange(t *testing.T) {
	startRegistry(t)
	says(t, "config", "set", "log/level", "debug")
	ctx, cancel := context.WithCancel(t.Context())
	cmd, out, done := root(), &output{}, make(chan error, 1)
	cmd.SetArgs([]string{"config", "watch", "--json"})
	cmd.SetOut(out)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	shows := func(part string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(out.String(), part) }, time.Minute, time.Millisecond, part)
	}
	shows(`{"name":"log/level","value":"debug"`)
	says(t, "config", "set", "worker/side", "100")
	shows(`{"name":"worker/side","value":"100"`)
	says(t, "config", "unset", "log/level")
	shows(`{"name":"log/level","value":null}`)
	require.Equal(t, 3, strings.Count(out.String(), "\n"), "each change once")
	cancel()
	require.NoError(t, <-done, "a watch ends in order")
}

func TestToolsSayWhenNoRegistryIsThere(t *testing.T) {
	t.Setenv("IMAGEMILL_DISCOVERY", "consul://127.0.0.1:1")
	for _, args := range [][]string{{"services"}, {"config", "get"}, {"config", "watch"}} {
		var err error
		for _, limit := range []string{"100ms", "5s", "50s"} { // the machine may stand still for as long as the shorter ones
			if err = refuses(t, append(args, "--timeout", limit)...); strings.Contains(err.Error(), "refused") {
				break
			}
		}
		require.ErrorContains(t, err, "consul://127.0.0.1:1")
		require.ErrorContains(t, err, "IMAGEMILL_DISCOVERY")
		require.ErrorContains(t, err, "refused")
	}
	require.Error(t, refuses(t, "config", "set", "log/level", "debug", "--timeout", "100ms"))
	require.ErrorContains(t, refuses(t, "services", "--timeout", "0s"), "--timeout")
	require.ErrorContains(t, refuses(t, "services", "--discovery", "nonsense"), "DISCOVERY")
}

// A change is in effect in every service of a running suite, and taken back.
func TestSettingsChangeARunningSuite(t *testing.T) {
	s := startUp(t)
	t.Setenv("IMAGEMILL_DISCOVERY", s.registry)
	var seen []discovery.Instance
	require.NoError(t, json.Unmarshal([]byte(says(t, "services", "--json")), &seen))
	table := says(t, "services")
	urls := []string{"http://" + strings.TrimPrefix(s.registry, "consul://")}
	for _, in := range seen {
		require.Regexp(t, `(?m)^`+in.Service+` +`+in.ID+` +`+in.URL+` `, table)
		if in.Service != "frontend" { // shows it on its internal listener, which is off here
			urls = append(urls, in.URL)
		}
	}
	require.Len(t, urls, 5, table)

	says(t, "config", "set", "log/level", "error")
	for _, url := range urls {
		inEffect(t, url, "log/level", "error")
	}
	says(t, "config", "set", "worker/engines", "3")
	says(t, "config", "set", "presets/mine", `{"renditions":[{"operations":[{"op":"resize","width":3}]}]}`)
	require.Eventually(t, func() bool { return upload(t, s.url, "mine") == http.StatusAccepted }, time.Minute, 5*time.Millisecond)
	says(t, "config", "set", "maintenance/mode", "on")
	require.Eventually(t, func() bool { return upload(t, s.url, "mine") == http.StatusServiceUnavailable }, time.Minute, 5*time.Millisecond)
	says(t, "config", "unset", "maintenance/mode")
	says(t, "config", "unset", "log/level")
	require.Eventually(t, func() bool { return upload(t, s.url, "mine") == http.StatusAccepted }, time.Minute, 5*time.Millisecond)
	for _, url := range urls {
		inEffect(t, url, "log/level", "warn")
	}
}

// request sends one request and gives status and body.
func request(t *testing.T, method, url string, body io.Reader) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	all, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, all
}

// inEffect waits until a service's /config shows the value.
func inEffect(t *testing.T, url, name, value string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var got struct{ Settings map[string]settings.Shown }
		_, body := request(t, http.MethodGet, url+"/config", nil)
		require.NoError(t, json.Unmarshal(body, &got))
		return got.Settings[name].Value == value
	}, time.Minute, 5*time.Millisecond, "%s of %s", name, url)
}

func upload(t *testing.T, url, preset string) int {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewRGBA(image.Rect(0, 0, 8, 6))))
	status, _ := request(t, http.MethodPost, url+"/newImage?preset="+preset, &b)
	return status
}
