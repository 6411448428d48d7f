package kvstore

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// loopbackPhrase stands in where neither a key nor a token is set, which is allowed
// on loopback only. It protects from nobody, but lets one code path keep out
// whatever is no node's.
const loopbackPhrase = "imagemill kvstore on loopback"

// gossipKey gives the key that gossip is encrypted with: the configured one, or
// one made of the cluster token, so that one secret is enough for all.
func gossipKey(key, token string) ([]byte, error) {
	if key != "" {
		return decodeKey(key)
	}
	return deriveKey(token, "imagemill kvstore gossip")
}

func deriveKey(secret, purpose string) ([]byte, error) {
	if secret == "" {
		secret = loopbackPhrase
	}
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return key, nil
}

// errStranger is returned in a handshake by who meets somebody without the key.
var errStranger = errors.New("the other side does not have this cluster's key (GOSSIP_KEY or the cluster token)")

// raftTLS makes both sides of Raft's TLS. All nodes make the same key pair from
// the shared secret, and each speaks only to who proves to have it: there is no
// authority and no name to check, so no certificates have to be handed around.
func raftTLS(key, token string) (*tls.Config, error) {
	secret := key
	if secret == "" {
		secret = token
	}
	seed, err := deriveKey(secret, "imagemill kvstore raft")
	if err != nil {
		return nil, err
	}
	private := ed25519.NewKeyFromSeed(seed)
	public, _ := private.Public().(ed25519.PublicKey)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return nil, fmt.Errorf("make Raft certificate: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}},
		MinVersion:   tls.VersionTLS13,
		ClientAuth:   tls.RequireAnyClientCert,
		// VerifyConnection takes the place of names and authorities.
		InsecureSkipVerify: true, //nolint:gosec // see VerifyConnection
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) != 1 || !public.Equal(s.PeerCertificates[0].PublicKey) {
				return errStranger
			}
			return nil
		},
		SessionTicketsDisabled: true,
	}, nil
}
