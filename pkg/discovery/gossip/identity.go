package gossip

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

// identityName is the name in the certificate that all members share.
const identityName = "member.gossip.internal"

// identity makes the TLS configuration of both ends of a settings stream. The
// private key is derived from the cluster's key, so that who has the one has the
// other: each end shows the certificate and wants to see it, and there is nothing
// to be handed out. Serf's own messages are encrypted with the key itself, from
// which the derivation keeps the two apart. It is nil without a key.
func identity(key []byte) (*tls.Config, error) {
	if key == nil {
		return nil, nil
	}
	seed, err := hkdf.Key(sha256.New, key, nil, "discovery/gossip settings identity 1", ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("derive identity: %w", err)
	}
	private := ed25519.NewKeyFromSeed(seed)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: identityName}, DNSNames: []string{identityName},
		// Always valid: the clocks of members may be wrong, and the key is what counts.
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, fmt.Errorf("make identity: %w", err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("make identity: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: private, Leaf: cert}},
		RootCAs:      pool, ServerName: identityName,
		ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}, nil
}
