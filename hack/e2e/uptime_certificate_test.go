//go:build e2e

package e2e_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"
)

// A certificate is renewed as cert-manager does it: its Secret is written anew. New connections to every pod have the new one.
//
// Proves: IS-DISC-9
func TestCertificateRenewalUnderLoad(t *testing.T) {
	x := underLoad(t)
	before := x.serials(t)
	nothingLost(t, x.during(t, "another certificate of east", func() {
		x.Certificate(t, "east", "edge-tls", x.east.host, x.east.submitHost)
		x.renewed(t, before)
	}))
}

// serials are those of the certificates that the pods of east show.
func (x *traffic) serials(t testing.TB) map[string]bool {
	t.Helper()
	var out map[string]bool
	x.until(t, "every pod of east shows a certificate", func() string { return fmt.Sprint(out) }, func(ctx context.Context) bool {
		out = map[string]bool{}
		for _, p := range x.gatewayPods(ctx, t, "east") {
			out[x.serialAt(ctx, net.JoinHostPort(p.Status.PodIP, "8443"))] = true
		}
		return len(out) > 0 && !out[""]
	})
	return out
}

// renewed waits until both pods of east show certificates that are none of those before.
func (x *traffic) renewed(t testing.TB, before map[string]bool) {
	t.Helper()
	x.until(t, "every pod shows another certificate", func() string { return fmt.Sprintf("it was one of %v", before) }, func(ctx context.Context) bool {
		pods := x.gatewayPods(ctx, t, "east")
		for _, p := range pods {
			if now := x.serialAt(ctx, net.JoinHostPort(p.Status.PodIP, "8443")); now == "" || before[now] {
				return false
			}
		}
		return len(pods) == 2 && len(x.notReady(ctx, "east")) == 0
	})
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
