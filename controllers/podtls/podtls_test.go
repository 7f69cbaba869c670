package podtls_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/controllers/podtls"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func authority(t *testing.T) podtls.Authority {
	t.Helper()
	a, err := podtls.NewAuthority("calendars", "edge", now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func server(t *testing.T, a podtls.Authority) podtls.Pair {
	t.Helper()
	p, err := a.Server("calendars", "edge", now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func client(t *testing.T, a podtls.Authority) podtls.Pair {
	t.Helper()
	p, err := a.Client(now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// handshake tries mutual TLS: the pods' side trusts serverTrusts, the control plane's side clientTrusts.
func handshake(t *testing.T, at time.Time, serverPair, clientPair podtls.Pair, serverTrusts, clientTrusts podtls.Authority, name string) error {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	deadline := time.Now().Add(10 * time.Second)
	_ = here.SetDeadline(deadline)
	_ = there.SetDeadline(deadline)
	clock := func() time.Time { return at }
	pods := tls.Server(there, &tls.Config{
		Certificates: []tls.Certificate{keyPair(t, serverPair)}, ClientCAs: pool(t, serverTrusts),
		ClientAuth: tls.RequireAndVerifyClientCert, Time: clock,
	})
	done := make(chan error, 1)
	go func() {
		err := pods.HandshakeContext(t.Context())
		_ = there.Close()
		done <- err
	}()
	plane := tls.Client(here, &tls.Config{
		Certificates: []tls.Certificate{keyPair(t, clientPair)}, RootCAs: pool(t, clientTrusts), ServerName: name, Time: clock,
	})
	err := plane.HandshakeContext(t.Context())
	if err != nil {
		_ = here.Close()
	} else {
		_, _ = plane.Read(make([]byte, 1)) // takes the other side's session ticket, or its refusal
	}
	if theirs := <-done; err == nil {
		err = theirs
	}
	return err
}

func keyPair(t *testing.T, p podtls.Pair) tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair(p.Certificate, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func pool(t *testing.T, a podtls.Authority) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(a.Certificate) {
		t.Fatal("no certificate in the authority")
	}
	return p
}

func TestWhoMayTalkWithWhom(t *testing.T) {
	t.Parallel()
	ours, other := authority(t), authority(t)
	name := podtls.ServerName("calendars", "edge")
	tests := []struct {
		name         string
		at           time.Time
		server       podtls.Pair
		client       podtls.Pair
		serverTrusts podtls.Authority
		clientTrusts podtls.Authority
		serverName   string
		ok           bool
	}{
		{"the two sides of one gateway", now, server(t, ours), client(t, ours), ours, ours, name, true},
		{"clocks four minutes behind", now.Add(-4 * time.Minute), server(t, ours), client(t, ours), ours, ours, name, true},
		{"a client of another gateway", now, server(t, ours), client(t, other), ours, ours, name, false},
		{"the pods of another gateway", now, server(t, other), client(t, ours), ours, ours, name, false},
		{"another name", now, server(t, ours), client(t, ours), ours, ours, podtls.ServerName("calendars", "other"), false},
		{"a pod's certificate as a client", now, server(t, ours), server(t, ours), ours, ours, name, false},
		{"a client's certificate as a pod", now, client(t, ours), client(t, ours), ours, ours, name, false},
		{"a client a day later", now.Add(24*time.Hour + time.Second), server(t, ours), client(t, ours), ours, ours, name, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := handshake(t, tt.at, tt.server, tt.client, tt.serverTrusts, tt.clientTrusts, tt.serverName)
			if (err == nil) != tt.ok {
				t.Errorf("handshake: %v, want ok = %v", err, tt.ok)
			}
		})
	}
}

func TestRenewalAfterTwoThirds(t *testing.T) {
	t.Parallel()
	a := authority(t)
	day := 24 * time.Hour
	tests := []struct {
		name        string
		certificate []byte
		want        time.Time // within ten minutes
	}{
		{"of the pods", server(t, a).Certificate, now.Add(60 * day)},
		{"of the control plane", client(t, a).Certificate, now.Add(16 * time.Hour)},
		{"the authority's own", a.Certificate, now.Add(3650 * day / 3 * 2)},
		{"of another authority", server(t, authority(t)).Certificate, time.Time{}},
		{"none", nil, time.Time{}},
		{"no certificate", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), time.Time{}},
		{"a key", a.Key, time.Time{}},
		{"far too much", padded(server(t, a).Certificate), time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := a.RenewAfter(tt.certificate)
			if got.IsZero() != tt.want.IsZero() || got.Sub(tt.want).Abs() > 10*time.Minute {
				t.Errorf("RenewAfter = %v, want %v", got, tt.want)
			}
		})
	}
	if got := (podtls.Authority{}).RenewAfter(a.Certificate); !got.IsZero() {
		t.Errorf("RenewAfter without an authority = %v, want none", got)
	}
}

func TestAnAuthorityThatCannotSign(t *testing.T) {
	t.Parallel()
	a := authority(t)
	for name, bad := range map[string]podtls.Authority{
		"nothing":              {},
		"no certificate":       {Key: a.Key},
		"no key":               {Certificate: a.Certificate},
		"the key of another":   {Certificate: a.Certificate, Key: authority(t).Key},
		"far too large a key":  {Certificate: a.Certificate, Key: padded(a.Key)},
		"far too much of both": {Certificate: padded(a.Certificate), Key: padded(a.Key)},
		"a broken key":         {Certificate: a.Certificate, Key: []byte("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")},
	} {
		_, err := bad.Server("calendars", "edge", now)
		if err == nil {
			t.Errorf("%s: a certificate was issued", name)
		} else if strings.Contains(err.Error(), "c2VjcmV0") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error holds the key: %v", name, err)
		}
	}
}

// padded is more than anything that this package makes: with a key of that size every step takes minutes.
func padded(text []byte) []byte {
	return append(bytes.Clone(text), bytes.Repeat([]byte("\n"), 16<<10)...)
}

func TestPairsThatFit(t *testing.T) {
	t.Parallel()
	a := authority(t)
	one, other := server(t, a), server(t, a)
	for name, tt := range map[string]struct {
		pair podtls.Pair
		fits bool
	}{
		"a certificate with its key": {one, true},
		"with another's key":         {podtls.Pair{Certificate: one.Certificate, Key: other.Key}, false},
		"with far too large a key":   {podtls.Pair{Certificate: one.Certificate, Key: padded(one.Key)}, false},
		"far too large":              {podtls.Pair{Certificate: padded(one.Certificate), Key: one.Key}, false},
		"nothing":                    {},
	} {
		if tt.pair.Fits() != tt.fits {
			t.Errorf("%s: %v", name, !tt.fits)
		}
	}
}

func TestKeysAreOfP256AndNeverTheSame(t *testing.T) {
	t.Parallel()
	a := authority(t)
	first, second := server(t, a), server(t, a)
	if bytes.Equal(first.Key, second.Key) {
		t.Error("two certificates share a key")
	}
	for _, text := range [][]byte{a.Key, first.Key, client(t, a).Key} {
		block, _ := pem.Decode(text)
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if k, ok := key.(*ecdsa.PrivateKey); !ok || k.Curve != elliptic.P256() {
			t.Errorf("key is %T, want ECDSA on P-256", key)
		}
	}
}

func TestLongNames(t *testing.T) {
	t.Parallel()
	namespace, gateway := strings.Repeat("n", 63), strings.Repeat("g", 52)
	a, err := podtls.NewAuthority(namespace, gateway, now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := a.Server(namespace, gateway, now)
	if err != nil {
		t.Fatal(err)
	}
	plane, err := a.Client(now)
	if err != nil {
		t.Fatal(err)
	}
	if err := handshake(t, now, pair, plane, a, a, podtls.ServerName(namespace, gateway)); err != nil {
		t.Error(err)
	}
}
