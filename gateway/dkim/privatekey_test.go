package dkim_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/calfed/calfed/gateway/dkim"
)

// Proves: IS-DKIM-5
func TestPrivateKeysRoundTrip(t *testing.T) {
	for _, algorithm := range []string{"rsa-2048", "RSA-3072", "Ed25519"} {
		key, err := dkim.GenerateKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		text, err := dkim.MarshalPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := dkim.ParsePrivateKey(text)
		if err != nil {
			t.Fatal(err)
		}
		if !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(got.Public()) {
			t.Errorf("%s: another key came back", algorithm)
		}
	}
	if _, err := dkim.GenerateKey("rsa-1024"); err == nil {
		t.Error("rsa-1024 was made")
	}
	key := rsaKey(t, 2048)
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if got, err := dkim.ParsePrivateKey(pkcs1); err != nil || !key.PublicKey.Equal(got.Public()) {
		t.Errorf("PKCS#1: %v", err)
	}
}

// Proves: IS-DKIM-5
func TestParsePrivateKeyRefusesWithoutQuoting(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("hush-hush-material")
	for _, tc := range []struct {
		name string
		text []byte
	}{
		{"no PEM", secret},
		{"PKCS#8 that is none", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})},
		{"PKCS#1 that is none", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: secret})},
		{"a public key", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: secret})},
		{"an encrypted PKCS#8 key", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: secret})},
		{"an encrypted PKCS#1 key", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: secret})},
		{"an EC key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: ecDER})},
		{"an RSA key below 1024 bits", weakKey(t)},
		{"more than any key has", append(goodKey(t), bytes.Repeat([]byte("\n"), 16<<10)...)}, // a modulus of that size would take long
	} {
		t.Run(tc.name, func(t *testing.T) {
			key, err := dkim.ParsePrivateKey(tc.text)
			if err == nil {
				t.Fatalf("got a key %T", key)
			}
			if want := strings.Contains(tc.name, "bits"); strings.Contains(err.Error(), "bits") != want {
				t.Errorf("refused for another reason: %v", err)
			}
			if strings.Contains(err.Error(), "hush") {
				t.Errorf("the error quotes the material: %v", err)
			}
		})
	}
	if out, err := dkim.MarshalPrivateKey(otherSigner{ec}); err == nil || bytes.Contains(out, []byte("KEY")) {
		t.Errorf("a key of another kind was written: %v", err)
	}
}

type otherSigner struct{ crypto.Signer }

func goodKey(t *testing.T) []byte {
	t.Helper()
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey(t, 2048))})
}

func weakKey(t *testing.T) []byte {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1016)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}
