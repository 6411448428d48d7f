package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"imagemill/internal/config"
)

type shared struct {
	Listen string `env:"LISTEN" help:"where to listen"`
	Token  string `env:"CLUSTER_TOKEN" global:"true" secret:"true" help:"the secret"`
}

type sample struct {
	Shared  shared
	Wait    time.Duration `env:"WAIT" help:"how long"`
	MaxBody config.Bytes  `env:"MAX_BODY" help:"how much"`
	Names   []string      `env:"NAMES" help:"which"`
	On      bool          `env:"ON" help:"whether"`
	private int
}

// Validate refuses a short wait, as the services' own do.
func (s sample) Validate() error {
	if s.Wait < time.Second {
		return fmt.Errorf("WAIT, MAX_BODY: %s is below 1s", s.Wait)
	}
	return nil
}

func defaults() sample {
	return sample{Shared: shared{Listen: ":1"}, Wait: time.Second, MaxBody: 64 << 20}
}

func load(t *testing.T, own string, env map[string]string, args ...string) (sample, *pflag.FlagSet, error) {
	t.Helper()
	cfg := defaults()
	var set config.Set
	set.Add("front", &cfg)
	fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
	set.Flags(fs, own)
	require.NoError(t, fs.Parse(args))
	err := set.Load(func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	return cfg, fs, err
}

func ExampleSet() {
	cfg := defaults()
	var set config.Set
	set.Add("front", &cfg)
	fs := pflag.NewFlagSet("front", pflag.ContinueOnError)
	set.Flags(fs, "front")
	_ = fs.Parse([]string{"--wait", "5s"})
	env := map[string]string{"IMAGEMILL_FRONT_WAIT": "3s", "IMAGEMILL_FRONT_LISTEN": ":2"}
	err := set.Load(func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	fmt.Println(cfg.Wait, cfg.Shared.Listen, cfg.MaxBody, err)
	// Output: 5s :2 64MiB <nil>
}

func TestWeights(t *testing.T) {
	cfg, _, err := load(t, "", nil)
	require.NoError(t, err)
	require.Equal(t, defaults(), cfg)

	env := map[string]string{
		"IMAGEMILL_FRONT_WAIT": "3s", "IMAGEMILL_FRONT_MAX_BODY": "2KiB", "IMAGEMILL_FRONT_NAMES": "a,b",
		"IMAGEMILL_FRONT_ON": "true", "IMAGEMILL_CLUSTER_TOKEN": "s3cret", "IMAGEMILL_FRONT_LISTEN": "",
	}
	cfg, _, err = load(t, "", env, "--front-wait=4s")
	require.NoError(t, err)
	require.Equal(t, sample{
		Shared: shared{":1", "s3cret"}, Wait: 4 * time.Second, MaxBody: 2048, Names: []string{"a", "b"}, On: true,
	}, cfg, "an empty variable counts as unset")

	cfg, _, err = load(t, "front", env, "--on=false", "--cluster-token", "other")
	require.NoError(t, err)
	require.False(t, cfg.On)
	require.Equal(t, "other", cfg.Shared.Token)
}

func TestWrongValuesNameTheSetting(t *testing.T) {
	_, _, err := load(t, "front", map[string]string{
		"IMAGEMILL_FRONT_WAIT": "soon", "IMAGEMILL_FRONT_MAX_BODY": "many", "IMAGEMILL_FRONT_ON": "maybe",
	})
	for _, name := range []string{"IMAGEMILL_FRONT_WAIT", "IMAGEMILL_FRONT_MAX_BODY", "IMAGEMILL_FRONT_ON", "64MiB"} {
		require.ErrorContains(t, err, name)
	}
}

func TestRefusedValuesNameTheSetting(t *testing.T) {
	_, _, err := load(t, "front", map[string]string{"IMAGEMILL_FRONT_WAIT": "1ms"})
	require.EqualError(t, err, "IMAGEMILL_FRONT_WAIT (--wait), IMAGEMILL_FRONT_MAX_BODY (--max-body): 1ms is below 1s")
}

func TestASecretMayComeFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(" s3cret\n"), 0o600))
	cfg, fs, err := load(t, "front", map[string]string{"IMAGEMILL_CLUSTER_TOKEN_FILE": file, "IMAGEMILL_CLUSTER_TOKEN": ""})
	require.NoError(t, err)
	require.Equal(t, "s3cret", cfg.Shared.Token)
	require.Contains(t, fs.FlagUsages(), "[IMAGEMILL_CLUSTER_TOKEN, or IMAGEMILL_CLUSTER_TOKEN_FILE: a file that holds it]")

	cfg, _, err = load(t, "front", map[string]string{"IMAGEMILL_CLUSTER_TOKEN_FILE": file}, "--cluster-token=other")
	require.NoError(t, err)
	require.Equal(t, "other", cfg.Shared.Token, "a flag wins, as over any variable")

	cfg, _, err = load(t, "front", map[string]string{"IMAGEMILL_FRONT_LISTEN_FILE": file})
	require.NoError(t, err)
	require.Equal(t, ":1", cfg.Shared.Listen, "only secrets come from files")
}

func TestASecretsFileThatDoesNotDoIsNamed(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(empty, []byte(" \n"), 0o600))
	for want, env := range map[string]map[string]string{
		"IMAGEMILL_CLUSTER_TOKEN and IMAGEMILL_CLUSTER_TOKEN_FILE are both set": {
			"IMAGEMILL_CLUSTER_TOKEN": "x", "IMAGEMILL_CLUSTER_TOKEN_FILE": empty,
		},
		"IMAGEMILL_CLUSTER_TOKEN_FILE: " + empty + " is empty": {"IMAGEMILL_CLUSTER_TOKEN_FILE": empty},
		"IMAGEMILL_CLUSTER_TOKEN_FILE: open":                   {"IMAGEMILL_CLUSTER_TOKEN_FILE": filepath.Join(dir, "none")},
	} {
		_, _, err := load(t, "front", env)
		require.ErrorContains(t, err, want)
	}
}

func TestHelpShowsAllThreeNames(t *testing.T) {
	_, fs, err := load(t, "front", nil)
	require.NoError(t, err)
	usage := fs.FlagUsages()
	require.Contains(t, usage, "--wait duration")
	require.Contains(t, usage, "[IMAGEMILL_FRONT_WAIT]")
	require.Contains(t, usage, "default 1s")
	require.Contains(t, usage, "default 64MiB")
}

func TestEffectiveHidesSecrets(t *testing.T) {
	cfg := defaults()
	cfg.Shared.Token = "s3cret"
	got := config.Effective(&cfg)
	require.Equal(t, "(set)", got["CLUSTER_TOKEN"])
	require.Equal(t, "1s", got["WAIT"])
	require.NotContains(t, fmt.Sprint(got), "s3cret")
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]config.Bytes{
		"0": 0, "1": 1, "1024": 1024, "64KiB": 64 << 10, "3 MiB": 3 << 20, "2GiB": 2 << 30, "12B": 12,
	} {
		var b config.Bytes
		require.NoError(t, b.UnmarshalText([]byte(text)))
		require.Equal(t, want, b)
		var again config.Bytes
		require.NoError(t, again.UnmarshalText([]byte(b.String())))
		require.Equal(t, want, again, "String writes what UnmarshalText reads")
	}
	for _, text := range []string{"", "-1", "1KB", "MiB", "9999999999GiB", "1.5MiB"} {
		var b config.Bytes
		require.ErrorContains(t, b.UnmarshalText([]byte(text)), "64MiB", text)
	}
}

// A flag that is given empty empties the setting, whatever its default is.
func TestAnEmptyFlagEmpties(t *testing.T) {
	cfg, _, err := load(t, "front", map[string]string{"IMAGEMILL_FRONT_LISTEN": ":2"}, "--listen", "")
	require.NoError(t, err)
	require.Empty(t, cfg.Shared.Listen)
}

func TestTwoSettingsHaveNoFlagInCommon(t *testing.T) {
	var common struct {
		Listen string `env:"LISTEN" global:"true" help:"everybody's"`
	}
	var own struct {
		Listen string `env:"LISTEN" help:"the front's"`
	}
	var set config.Set
	set.Add("", &common)
	set.Add("front", &own)
	set.Flags(pflag.NewFlagSet("front", pflag.ContinueOnError), "front")
	err := set.Load(func(string) (string, bool) { return "", false })
	require.ErrorContains(t, err, "--listen is both")
	require.ErrorContains(t, err, "IMAGEMILL_FRONT_LISTEN")
}
