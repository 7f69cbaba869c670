package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/netguard"
)

// renewedBefore its end is every certificate that something renews: in the last third of its life, or the last 14 days.
func renewedBefore(c *x509.Certificate) time.Duration {
	return min(14*24*time.Hour, c.NotAfter.Sub(c.NotBefore)/3)
}

// certificate connects, and judges the certificate by the rules of a sender that has no special settings. IS-DISC-9.
func (r *run) certificate(ctx context.Context, place endpoint) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	step := Step{Name: "tls " + place.String(), Expected: "TLS 1.2 or newer, and a certificate for " + place.host}
	conn, err := r.cfg.Guard.DialContext(netguard.Peer)(ctx, "tcp", place.String())
	if err != nil {
		step.Verdict, step.Seen = Failed, err.Error()
		step.Cause = "nothing answers there: is the gateway running, the load balancer's port open, the firewall too?"
		r.add(step)
		return
	}
	defer func() { _ = conn.Close() }()
	// what is wrong with a certificate can only be told of one that was let through; nothing is sent over this connection
	session := tls.Client(conn, &tls.Config{ServerName: place.host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: true})
	if err := session.HandshakeContext(ctx); err != nil {
		step.Verdict, step.Seen = Failed, err.Error()
		step.Cause = "the port does not speak TLS, or only versions below 1.2"
		r.add(step)
		return
	}
	r.add(r.judge(step, session.ConnectionState(), place.host))
}

func (r *run) judge(step Step, state tls.ConnectionState, host string) Step {
	leaf := state.PeerCertificates[0]
	now := r.cfg.Now()
	step.Verdict = OK
	step.Seen = fmt.Sprintf("%s, certificate for %s by %s until %s", tls.VersionName(state.Version), names(leaf),
		issuer(leaf), leaf.NotAfter.UTC().Format(time.DateOnly))
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: r.cfg.Roots, Intermediates: between, CurrentTime: now})
	var (
		wrongName x509.HostnameError
		unknown   x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &wrongName):
		step.Verdict, step.Cause = Failed, "the certificate is for another name: issue one for "+host+", the target of the SRV record"
	case errors.As(err, &unknown) && len(state.PeerCertificates) == 1 && leaf.Issuer.String() != leaf.Subject.String():
		step.Verdict, step.Cause = Failed, "nobody trusted has signed it, and the server sends no intermediate certificate: serve the whole chain"
	case errors.As(err, &unknown):
		step.Verdict, step.Cause = Failed, "nobody that others trust has signed the certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(leaf.NotBefore):
		step.Verdict, step.Cause = Failed, "the certificate is not valid yet: is a clock wrong?"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		step.Verdict, step.Cause = Failed, "the certificate has expired: renew it"
	case err != nil:
		step.Verdict, step.Cause = Failed, err.Error()
	case leaf.NotAfter.Sub(now) < renewedBefore(leaf):
		step.Verdict, step.Cause = Warning, "it is near its end: whatever should renew it does not"
	}
	return step
}

// names are the first few that a certificate is for.
func names(c *x509.Certificate) string {
	const shown = 4
	switch n := len(c.DNSNames); {
	case n == 0:
		return "no DNS name"
	case n > shown:
		return strings.Join(c.DNSNames[:shown], ", ") + fmt.Sprintf(" and %d more", n-shown)
	}
	return strings.Join(c.DNSNames, ", ")
}

func issuer(c *x509.Certificate) string {
	switch {
	case c.Issuer.CommonName != "":
		return c.Issuer.CommonName
	case len(c.Issuer.Organization) > 0:
		return c.Issuer.Organization[0]
	}
	return "nobody named"
}
