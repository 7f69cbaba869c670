//go:build e2e

package e2e_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"
)

// A certificate is renewed as cert-manager does it: its Secret is written anew. New connections to every pod have the new one.
func TestCertificateRenewalUnderLoad(t *testing.T) {
	x := underLoad(t)
	before := x.serial(t, x.east.public)
	nothingLost(t, x.during(t, "another certificate of east", func() {
		x.Certificate(t, "east", "edge-tls", x.east.host, x.east.submitHost)
		x.until(t, "every pod shows another certificate", func() string { return "it was " + before }, func(ctx context.Context) bool {
			for _, ip := range x.Pods(ctx, "east", "edge") {
				if now := x.serialAt(ctx, net.JoinHostPort(ip, "8443")); now == "" || now == before {
					return false
				}
			}
			return len(x.notReady(ctx, "east")) == 0
		})
	}))
}

func (x *traffic) serial(t testing.TB, ip string) string {
	t.Helper()
	out := x.serialAt(t.Context(), net.JoinHostPort(ip, "443"))
	if out == "" {
		t.Fatalf("%s shows no certificate", ip)
	}
	return out
}

// serialAt is the serial number of the certificate shown at an address; "" when none is.
func (x *traffic) serialAt(ctx context.Context, addr string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: x.CA.Pool(), ServerName: x.east.host}}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
}
