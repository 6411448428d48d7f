package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/config"
)

// loadRegistry gives what the settings say, as every service loads them.
func loadRegistry(env map[string]string) (common, error) {
	com := defaultCommon()
	var set config.Set
	set.Add("", &com)
	err := set.Load(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	return com, err
}

func TestBadRegistrySettingsAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"no kind":          {map[string]string{"DISCOVERY": "127.0.0.1:8500"}, []string{"DISCOVERY (--discovery)", "consul://host:port", "gossip://", "static://"}},
		"another kind":     {map[string]string{"DISCOVERY": "etcd://127.0.0.1:8500"}, []string{"DISCOVERY (--discovery)", `"etcd://127.0.0.1:8500"`, "consul+https://host:port"}},
		"no port":          {map[string]string{"DISCOVERY": "consul://kv"}, []string{"DISCOVERY", `"kv" is not host:port`, "want consul://host:port"}},
		"a path":           {map[string]string{"DISCOVERY": "consul://kv:8500/v1"}, []string{"DISCOVERY", "is not host:port"}},
		"an empty second":  {map[string]string{"DISCOVERY": "consul://kv:8500,"}, []string{"DISCOVERY", `"" is not host:port`}},
		"static, empty":    {map[string]string{"DISCOVERY": "static://"}, []string{"DISCOVERY", "names no address", "static://service=http://host:port"}},
		"static, no name":  {map[string]string{"DISCOVERY": "static://http://a:1"}, []string{"DISCOVERY", `"http://a:1" belongs to no service`}},
		"static, no URL":   {map[string]string{"DISCOVERY": "static://storage=a:1"}, []string{"DISCOVERY", "want http://host:port"}},
		"static, a path":   {map[string]string{"DISCOVERY": "static://storage=http://a:1/x"}, []string{"DISCOVERY", "nothing but scheme, host and port"}},
		"static, twice":    {map[string]string{"DISCOVERY": "static://storage=http://a:1,http://a:1"}, []string{"DISCOVERY", "stands there twice"}},
		"static, bad name": {map[string]string{"DISCOVERY": "static://Storage=http://a:1"}, []string{"DISCOVERY", `"Storage" is no service`}},
		"static, unknown":  {map[string]string{"DISCOVERY": "static://storrage=http://a:1"}, []string{"DISCOVERY", `"storrage"`, "imagemaster", "storage"}},
		"TTL":              {map[string]string{"DISCOVERY_TTL": "1ms"}, []string{"DISCOVERY_TTL (--discovery-ttl)", "10ms to 24h"}},
		"prefix":           {map[string]string{"CONSUL_PREFIX": "/a/"}, []string{"CONSUL_PREFIX (--consul-prefix)", "none at the ends"}},
		"catalogue prefix": {map[string]string{"CONSUL_CATALOG_PREFIX": "a.b"}, []string{"CONSUL_CATALOG_PREFIX", "letters, digits and '-'"}},
		"half a pair": {map[string]string{"DISCOVERY": "consul+https://h:1", "CONSUL_CLIENT_CERT": "c"},
			[]string{"CONSUL_CLIENT_CERT (--consul-client-cert)", "CONSUL_CLIENT_KEY", "both or neither"}},
		"TLS without https": {map[string]string{"CONSUL_CACERT": "ca"}, []string{"CONSUL_CACERT", "consul+https:// only"}},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{}
			for k, v := range c.env {
				env["IMAGEMILL_"+k] = v
			}
			_, err := loadRegistry(env)
			for _, part := range c.want {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

func TestRegistryIsOpenedAsSet(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(token, []byte("of-consul\n"), 0o600))
	com, err := loadRegistry(map[string]string{
		"IMAGEMILL_DISCOVERY": "consul+https://a:8501, b:8501", "IMAGEMILL_CONSUL_TOKEN_FILE": token,
		"IMAGEMILL_CONSUL_DATACENTER": "dc7", "IMAGEMILL_CONSUL_PREFIX": "a/mill", "IMAGEMILL_CONSUL_CACERT": "ca.pem",
		"IMAGEMILL_CONSUL_CATALOG": "true", "IMAGEMILL_CONSUL_CATALOG_TAGS": "blue,green",
	})
	require.NoError(t, err)
	kind, rest, err := com.Registry.split()
	require.NoError(t, err)
	cfg, err := com.Registry.client(kind, rest, "of-the-cluster")
	require.NoError(t, err)
	require.Equal(t, "https://a:8501", cfg.Address)
	require.Equal(t, []string{"https://b:8501"}, cfg.Others)
	require.Equal(t, "of-consul", cfg.Token)
	require.Equal(t, "dc7", cfg.Datacenter)
	require.Equal(t, "a/mill/services", cfg.Prefix)
	require.Equal(t, "imagemill-", cfg.Catalog.Prefix)
	require.Equal(t, []string{"blue", "green"}, cfg.Catalog.Tags)
	_, err = com.openRegistry("")
	require.ErrorContains(t, err, "CA file: open ca.pem", "what cannot be read ends the start")

	com = defaultCommon()
	cfg, err = com.Registry.client(kindConsul, "h:1", "of-the-cluster")
	require.NoError(t, err)
	require.Equal(t, "of-the-cluster", cfg.Token)
	require.Equal(t, "services", cfg.Prefix)
	require.Nil(t, cfg.Catalog)
}
