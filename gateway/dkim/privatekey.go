package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// maxPrivateKey is more than the PEM form of any key takes that is accepted; to parse one of a million octets takes minutes.
const maxPrivateKey = 16 << 10

// ParsePrivateKey reads a PEM private key (PKCS#8 or PKCS#1; RSA 1024–4096 bits or Ed25519). Errors name
// the problem, never the material.
func ParsePrivateKey(data []byte) (crypto.Signer, error) {
	if len(data) > maxPrivateKey {
		return nil, fmt.Errorf("more than %d octets", maxPrivateKey)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	// The parsers' own errors are dropped: they may quote what they read.
	switch block.Type {
	case "PRIVATE KEY":
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, errors.New("not a PKCS#8 private key")
		}
		switch key := key.(type) {
		case *rsa.PrivateKey:
			return checkedRSA(key)
		case ed25519.PrivateKey:
			return key, nil
		}
		return nil, errKeyType
	case "RSA PRIVATE KEY":
		if len(block.Headers) > 0 {
			return nil, errors.New("encrypted private key")
		}
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, errors.New("not a PKCS#1 private key")
		}
		return checkedRSA(key)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("encrypted private key")
	}
	return nil, errors.New("PEM block holds no RSA or Ed25519 private key")
}

func checkedRSA(key *rsa.PrivateKey) (crypto.Signer, error) {
	if err := checkSigningSize(&key.PublicKey); err != nil {
		return nil, err
	}
	return key, nil
}

func checkSigningSize(pub *rsa.PublicKey) error {
	if bits := pub.N.BitLen(); bits < leastRSABits || bits > mostRSABits {
		return fmt.Errorf("RSA key of %d bits, %d to %d are accepted", bits, leastRSABits, mostRSABits)
	}
	return nil
}

// GenerateKey makes a signing key: "rsa-2048", "rsa-3072", "rsa-4096" or "ed25519", in any case.
func GenerateKey(algorithm string) (crypto.Signer, error) {
	switch strings.ToLower(algorithm) {
	case "rsa-2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa-3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "rsa-4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("unknown algorithm %q (rsa-2048, rsa-3072, rsa-4096, ed25519)", algorithm)
}

// MarshalPrivateKey writes key as PKCS#8 PEM.
func MarshalPrivateKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, errKeyType
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
