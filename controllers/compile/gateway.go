package compile

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/snapshot"
)

func gatewayMeta(gw *v1alpha1.FederationGateway) meta {
	return meta{v1alpha1.KindFederationGateway, gw.Namespace, gw.Name, gw.CreationTimestamp.Time}
}

// compileGateway compiles what all domains share; false when any of it is wrong. A gateway is compiled whole or not at all:
// half an egress rule or half a certificate is worse than the last good snapshot.
func (c *compiler) compileGateway(gw *v1alpha1.FederationGateway) (snapshot.Gateway, bool) {
	at := c.report.at(gatewayMeta(gw), "spec")
	spec := &gw.Spec
	out := snapshot.Gateway{
		Name:          gw.Namespace + "/" + gw.Name,
		NoTickets:     spec.TLS.SessionTickets == v1alpha1.Disabled,
		DefaultAction: snapshot.Deny,
	}
	host, err := cua.Domain(string(spec.Host))
	if err != nil {
		at.to("host").error(v1alpha1.ReasonInvalidValue, "%q is no host name", spec.Host)
	}
	out.Host = host
	out.TLS = c.gatewayTLS(at.to("tls"), gw, host)
	c.allowed = compileAllowed(at.to("allowedDomains"), spec.AllowedDomains)
	if spec.DefaultPolicy == v1alpha1.ActionAllow {
		out.DefaultAction = snapshot.Allow
	}
	out.Capabilities = c.effective(at.to("capabilities"), spec.Capabilities, host)
	if spec.Egress != nil {
		out.Egress = c.compileEgress(at.to("egress"), spec.Egress)
	}
	c.egress = out.Egress // what is configured below, and in the domains, is held against it
	if spec.Discovery != nil {
		out.Discovery = snapshot.Discovery{ParentDomains: spec.Discovery.ParentDomains, WellKnown: spec.Discovery.WellKnown}
	}
	out.Submission = c.submission(at.to("submission"), spec.Submission)
	out.Limits = c.limits(at.to("limits"), spec.Limits, out.Capabilities.MaxContentLength)
	return out, !at.failed()
}

func (c *compiler) gatewayTLS(at spot, gw *v1alpha1.FederationGateway, host string) snapshot.KeyPair {
	spec := &gw.Spec.TLS
	var ref v1alpha1.SecretRef
	cure := "create it, of type kubernetes.io/tls"
	switch {
	case spec.Secret != nil:
		ref, at = *spec.Secret, at.to("secret").to("name")
	case spec.CertManager != nil:
		ref, at = v1alpha1.SecretRef{Name: infra.TLSSecret(gw.Name)}, at.to("certManager")
		cure = "cert-manager makes it once the issuer has signed; see the Certificate of that name"
	default:
		at.error(v1alpha1.ReasonInvalidValue, "type %q needs the member secret or certManager", spec.Type)
		return snapshot.KeyPair{}
	}
	pair, leaf := c.keyPair(at, ref, cure)
	if pair == nil {
		return snapshot.KeyPair{}
	}
	if host != "" && leaf.VerifyHostname(host) != nil {
		at.warn(v1alpha1.ReasonInvalidValue, "the certificate in Secret %q is not for %s: other organisations will refuse to connect", ref.Name, host)
	}
	return *pair
}

func (c *compiler) compileEgress(at spot, e *v1alpha1.Egress) snapshot.Egress {
	out := snapshot.Egress{
		BackendCIDRs: prefixes(at.to("backendCIDRs"), e.BackendCIDRs),
		PeerCIDRs:    prefixes(at.to("peerCIDRs"), e.PeerCIDRs),
		Resolver:     e.Resolver,
	}
	if e.Resolver != "" {
		if addr, err := netip.ParseAddrPort(e.Resolver); err != nil || addr.Port() == 0 {
			at.to("resolver").error(v1alpha1.ReasonInvalidValue, "%q is no IP address and port", e.Resolver)
		}
	}
	if e.CABundleRef != nil {
		out.CABundle = c.bundle(at.to("caBundleRef"), *e.CABundleRef)
	}
	return out
}

func prefixes(at spot, cidrs []v1alpha1.CIDR) []netip.Prefix {
	var out []netip.Prefix
	for i, s := range cidrs {
		p, err := netip.ParsePrefix(string(s))
		if err != nil {
			at.index(i).error(v1alpha1.ReasonInvalidValue, "%q is no address range", s)
			continue
		}
		out = append(out, p.Masked())
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

// The effective limits where a gateway sets none.
const (
	defaultMaxConnections      = 4096
	defaultMaxConnsPerSource   = 64
	defaultRequestsPerSource   = 50
	defaultKeyLookupsPerSource = 5
	defaultKeyLookupsPerDomain = 5
	defaultKeyLookups          = 200
	defaultMaxHeaderBytes      = 64 << 10
	defaultMaxInFlightBytes    = 64 << 20
	defaultHeaderTimeout       = 10 * time.Second
	defaultBodyTimeout         = 30 * time.Second
	defaultDeliveryTimeout     = 20 * time.Second
)

func (c *compiler) limits(at spot, l *v1alpha1.Limits, maxContentLength int64) snapshot.Limits {
	out := snapshot.Limits{
		MaxConnections:      defaultMaxConnections,
		MaxConnsPerSource:   defaultMaxConnsPerSource,
		RequestsPerSource:   defaultRequestsPerSource,
		KeyLookupsPerSource: defaultKeyLookupsPerSource,
		KeyLookupsPerDomain: defaultKeyLookupsPerDomain,
		KeyLookups:          defaultKeyLookups,
		MaxHeaderBytes:      defaultMaxHeaderBytes,
		// one message of the largest size accepted must not keep all others out
		MaxInFlightBytes: max(defaultMaxInFlightBytes, 4*maxContentLength),
		HeaderTimeout:    defaultHeaderTimeout,
		BodyTimeout:      defaultBodyTimeout,
		DeliveryTimeout:  defaultDeliveryTimeout,
	}
	if l == nil {
		return out
	}
	if l.MaxConnections != nil {
		out.MaxConnections = int(*l.MaxConnections)
	}
	if l.MaxConnectionsPerSource != nil {
		out.MaxConnsPerSource = int(*l.MaxConnectionsPerSource)
	}
	if l.RequestsPerSource != "" {
		out.RequestsPerSource = rate(at.to("requestsPerSource"), l.RequestsPerSource)
	}
	if l.KeyLookupsPerSource != "" {
		out.KeyLookupsPerSource = rate(at.to("keyLookupsPerSource"), l.KeyLookupsPerSource)
	}
	return out
}

// rate reads "600/m" as a number per second.
func rate(at spot, r v1alpha1.Rate) float64 {
	number, unit, _ := strings.Cut(string(r), "/")
	n, err := strconv.ParseUint(number, 10, 20)
	if err == nil && n > 0 {
		switch unit {
		case "s":
			return float64(n)
		case "m":
			return float64(n) / 60
		case "h":
			return float64(n) / 3600
		}
	}
	at.error(v1alpha1.ReasonInvalidValue, "%q is no rate such as 20/s, 600/m or 100/h", r)
	return 0
}
