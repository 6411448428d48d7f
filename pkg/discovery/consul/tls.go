package consul

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLS is how an https registry is recognised and spoken to. The zero value trusts
// the system's authorities and shows no certificate.
type TLS struct {
	// CAFile holds the authorities to trust, in PEM.
	CAFile string
	// CertFile and KeyFile are the client's certificate, in PEM; both or neither.
	// They are read anew for each connection, so that they can be replaced.
	CertFile, KeyFile string
	// ServerName is the name that the registry's certificate must have; empty for
	// the host of the address. Consul's own certificates say "server.dc1.consul".
	ServerName string
}

// config reads the files once, so that what is wrong with them is said at the start.
func (t TLS) config() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("CA file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CA file: %s holds no certificate in PEM", t.CAFile)
		}
	}
	if t.CertFile == "" && t.KeyFile == "" {
		return cfg, nil
	}
	if t.CertFile == "" || t.KeyFile == "" {
		return nil, errors.New("client certificate: want both the certificate's file and the key's, or neither")
	}
	if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		return &cert, err
	}
	return cfg, nil
}
