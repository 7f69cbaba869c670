// Package podtls makes the certificates with which the control plane and the gateway pods know each other at the pods' status
// listener: a certificate authority for each gateway, whose key only the control plane has; one server certificate that all
// pods of the gateway share; and short-lived client certificates of the control plane.
//
// It is pure: bytes in, bytes out.
package podtls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// How long certificates are valid. They begin a little in the past, for clocks that are behind.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	serverLife    = 90 * 24 * time.Hour
	clientLife    = 24 * time.Hour
	skew          = 5 * time.Minute
)

// ServerName is the name in the server certificate of a gateway's pods: clients ask for it, whatever address they dial. No
// other gateway has it, and no DNS server ever knows it (RFC 6761 section 6.4).
func ServerName(namespace, gateway string) string {
	return gateway + "." + namespace + ".calfed.invalid"
}

// Authority is a certificate authority: PEM.
type Authority struct{ Certificate, Key []byte }

// NewAuthority makes one, valid for ten years.
func NewAuthority(namespace, gateway string, now time.Time) (Authority, error) {
	template := x509.Certificate{
		// the names of Subjects have no room for more than 64 characters (RFC 5280 appendix A.1), and nobody reads this one
		Subject:               pkix.Name{CommonName: "calfed gateway pods", Organization: []string{short(namespace)}, OrganizationalUnit: []string{short(gateway)}},
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	pair, err := issue(template, nil, nil, now, authorityLife)
	return Authority(pair), err
}

func short(s string) string { return s[:min(len(s), 64)] }

// Pair is a certificate with its key: PEM.
type Pair struct{ Certificate, Key []byte }

// Fits says whether the key is that of the certificate.
func (p Pair) Fits() bool {
	if len(p.Certificate) > maxPEM || len(p.Key) > maxPEM {
		return false
	}
	_, err := tls.X509KeyPair(p.Certificate, p.Key)
	return err == nil
}

// Server issues the certificate of the pods, valid for 90 days.
func (a Authority) Server(namespace, gateway string, now time.Time) (Pair, error) {
	return a.leaf(x509.Certificate{
		DNSNames:    []string{ServerName(namespace, gateway)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, now, serverLife)
}

// Client issues a certificate for the control plane, valid for a day.
func (a Authority) Client(now time.Time) (Pair, error) {
	return a.leaf(x509.Certificate{
		Subject:     pkix.Name{CommonName: "calfed control plane"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, now, clientLife)
}

// RenewAfter says when a certificate should be replaced: after two thirds of its life. The zero time means now: it cannot be
// read, or is not of this authority. The authority's own is of it.
func (a Authority) RenewAfter(certificate []byte) time.Time {
	parent, err := readCertificate(a.Certificate)
	if err != nil {
		return time.Time{}
	}
	cert, err := readCertificate(certificate)
	if err != nil || cert.CheckSignatureFrom(parent) != nil {
		return time.Time{}
	}
	return cert.NotBefore.Add(cert.NotAfter.Sub(cert.NotBefore) / 3 * 2)
}

func (a Authority) leaf(template x509.Certificate, now time.Time, life time.Duration) (Pair, error) {
	parent, key, err := a.read()
	if err != nil {
		return Pair{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	return issue(template, parent, key, now, life)
}

// maxPEM is many times what this package makes. What lies in a Secret may be somebody else's, and a key of a megabyte takes minutes.
const maxPEM = 16 << 10

func (a Authority) read() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	cert, err := readCertificate(a.Certificate)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate of the authority: %w", err)
	}
	block, _ := pem.Decode(a.Key)
	if block == nil || len(a.Key) > maxPEM {
		return nil, nil, errors.New("key of the authority: no PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, errors.New("key of the authority: no PKCS#8") // the error could quote it
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, errors.New("key of the authority: not that of its certificate")
	}
	return cert, key, nil
}

func readCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(text) > maxPEM {
		return nil, errors.New("no PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// issue makes a key and a certificate for it, signed by the parent or, without one, by itself.
func issue(template x509.Certificate, parent *x509.Certificate, signer *ecdsa.PrivateKey, now time.Time, life time.Duration) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	template.NotBefore, template.NotAfter = now.Add(-skew), now.Add(life)
	if parent == nil {
		parent, signer = &template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, nil
}
