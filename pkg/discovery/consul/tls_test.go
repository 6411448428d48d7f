package consul_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery/consul"
)

// authority signs certificates and keeps them in a folder.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.issue("ca")
	return a
}

// issue makes name.pem and name.key; the first is the authority's own.
func (a *authority) issue(name string) (cert, key string) {
	a.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if a.cert == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		a.cert, a.key = template, private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	require.NoError(a.t, err)
	if a.cert == template {
		a.cert, err = x509.ParseCertificate(der)
		require.NoError(a.t, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(a.t, err)
	cert, key = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		require.NoError(a.t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	}
	return cert, key
}

// A registry that wants certificates is spoken to with one, and recognised.
func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	serverCert, serverKey := ca.issue("server.dc1.consul")
	clientCert, clientKey := ca.issue("client")
	pair, err := tls.LoadX509KeyPair(serverCert, serverKey)
	require.NoError(t, err)
	trusted := x509.NewCertPool()
	trusted.AddCert(ca.cert)
	f := newFake()
	f.srv = httptest.NewUnstartedServer(f.handler())
	f.srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert}
	conns := &f.conns
	f.srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	f.srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	f.srv.StartTLS()
	t.Cleanup(f.close)

	right := consul.TLS{CAFile: filepath.Join(ca.dir, "ca.pem"), CertFile: clientCert, KeyFile: clientKey, ServerName: "server.dc1.consul"}
	announce(t, t.Context(), open(t, f, func(c *consul.Config) { c.TLS = right }))
	_, sessions, _, _ := f.look()
	require.Equal(t, 1, sessions)

	for name, spoil := range map[string]func(*consul.TLS){
		"another name":      func(c *consul.TLS) { c.ServerName = "" },
		"no certificate":    func(c *consul.TLS) { c.CertFile, c.KeyFile = "", "" },
		"another authority": func(c *consul.TLS) { c.CAFile = filepath.Join(newAuthority(t).dir, "ca.pem") },
	} {
		wrong := right
		spoil(&wrong)
		tries := conns.Load()
		sets := open(t, f, func(c *consul.Config) { c.TLS = wrong }).Watch(t.Context(), "store")
		require.Eventually(t, func() bool { return conns.Load() > tries+2 }, time.Minute, time.Millisecond, "it goes on trying")
		assert.Empty(t, sets, name)
	}
}

func TestTLSFilesAreChecked(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.issue("client")
	junk := filepath.Join(ca.dir, "junk")
	require.NoError(t, os.WriteFile(junk, []byte("junk"), 0o600))
	for want, files := range map[string]consul.TLS{
		"CA file: open":              {CAFile: filepath.Join(ca.dir, "none")},
		"no certificate in PEM":      {CAFile: junk},
		"both the certificate":       {CertFile: cert},
		"or neither":                 {KeyFile: key},
		"client certificate: open":   {CertFile: cert, KeyFile: filepath.Join(ca.dir, "none")},
		"client certificate: tls: f": {CertFile: junk, KeyFile: key},
	} {
		_, err := consul.New(consul.Config{Address: "https://h:1", TLS: files}, consul.Deps{})
		assert.ErrorContains(t, err, want)
	}
}
