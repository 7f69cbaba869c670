package compile

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/snapshot"
)

// minTokenBytes is the length below which a token can be guessed.
const minTokenBytes = 16

// minSignatureLifetime leaves a receiver's clock some room (IS-DKIM-7).
const minSignatureLifetime = time.Minute

func domainMeta(d *v1alpha1.FederatedDomain) meta {
	return meta{v1alpha1.KindFederatedDomain, d.Namespace, d.Name, d.CreationTimestamp.Time}
}

// domains compiles the domains of the gateway, sorted by name. Of two objects of the namespace that claim one domain the
// older wins, whichever gateways they are for: DNS leads to one of them.
func (c *compiler) domains(all []v1alpha1.FederatedDomain, gateway string) []snapshot.Domain {
	var local []*v1alpha1.FederatedDomain
	for i := range all {
		if d := &all[i]; d.Namespace == c.namespace {
			local = append(local, d)
		}
	}
	slices.SortFunc(local, func(a, b *v1alpha1.FederatedDomain) int { return older(domainMeta(a), domainMeta(b)) })
	var out []snapshot.Domain
	winners := map[string]meta{}
	for _, d := range local {
		at := c.report.at(domainMeta(d), "spec")
		own := d.Spec.GatewayRef.Name == gateway
		name, err := cua.Domain(string(d.Spec.Domain))
		if err != nil {
			if own {
				at.to("domain").error(v1alpha1.ReasonInvalidValue, "%q is no domain name", d.Spec.Domain)
			}
			continue
		}
		first, taken := winners[name]
		if !taken {
			winners[name] = domainMeta(d)
		}
		if !own { // its own gateway's compile has more to say
			continue
		}
		if taken {
			at.to("domain").error(v1alpha1.ReasonConflict, "FederatedDomain %s already answers for %s: delete one of the two", first.id(), name)
			continue
		}
		if compiled, ok := c.domain(at, d, name); ok {
			out = append(out, compiled)
		}
	}
	slices.SortFunc(out, func(a, b snapshot.Domain) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// domain compiles one domain; false when there is nowhere to deliver to.
func (c *compiler) domain(at spot, d *v1alpha1.FederatedDomain, name string) (snapshot.Domain, bool) {
	spec := &d.Spec
	out := snapshot.Domain{
		Name:       name,
		Source:     d.Namespace + "/" + d.Name,
		Signing:    c.signing(at.to("signing"), spec.Signing, name, len(spec.Submitters)),
		Accepts:    c.messages(at.to("accepts"), spec.Accepts),
		Submitters: c.submitters(at.to("submitters"), spec.Submitters),
	}
	backendAt := at.to("backend").isolated()
	out.Backend = c.backend(backendAt, &spec.Backend)
	return out, !backendAt.failed()
}

func (c *compiler) signing(at spot, s *v1alpha1.Signing, domain string, submitters int) snapshot.Signing {
	var out snapshot.Signing
	if s == nil {
		if submitters > 0 {
			at.warn(v1alpha1.ReasonNoKey, "%s has submitters and no signing key: it receives messages and cannot send any", domain)
		}
		return out
	}
	for i, ref := range s.Keys {
		at := at.to("keys").index(i).to("name")
		k, ok := c.keys[ref.Name]
		if !ok {
			c.missing(at, v1alpha1.KindDKIMKey, ref.Name, createOrCorrect)
			continue
		}
		key := c.key(k)
		switch {
		case key == nil: // said at the DKIMKey
		case !cua.WithinDomain(domain, key.Domain):
			at.error(v1alpha1.ReasonInvalidValue, "DKIMKey %q is for %s, which does not speak for %s: its domain must be %s or a parent of it", ref.Name, key.Domain, domain, domain)
		case !slices.ContainsFunc(out.Keys, func(k snapshot.Key) bool { return k.Source == key.Source }):
			out.Keys = append(out.Keys, *key)
		}
	}
	if len(out.Keys) == 0 {
		at.to("keys").warn(v1alpha1.ReasonNoKey, "none of the keys can be used: %s receives messages and cannot send any", domain)
	}
	for _, m := range s.Lookup {
		if !slices.Contains(out.Lookup, string(m)) {
			out.Lookup = append(out.Lookup, string(m))
		}
	}
	if len(out.Lookup) == 0 {
		out.Lookup = []string{dkim.MethodDNS, dkim.MethodWellKnown}
	}
	if s.SignatureLifetime != nil {
		out.Lifetime = s.SignatureLifetime.Duration
		if out.Lifetime < minSignatureLifetime {
			at.to("signatureLifetime").warn(v1alpha1.ReasonNoEffect, "signatures live %s at least", minSignatureLifetime)
			out.Lifetime = minSignatureLifetime
		}
	}
	return out
}

func (c *compiler) backend(at spot, b *v1alpha1.Backend) snapshot.Backend {
	if b.Type != v1alpha1.BackendISchedule || b.ISchedule == nil {
		at.error(v1alpha1.ReasonInvalidValue, "type %q needs the member iSchedule", b.Type)
		return snapshot.Backend{}
	}
	at = at.to("iSchedule").to("url")
	if !c.target(at, b.ISchedule.URL, "http", "https") {
		return snapshot.Backend{}
	}
	return snapshot.Backend{Type: snapshot.BackendISchedule, ISchedule: &snapshot.ISchedule{URL: b.ISchedule.URL}}
}

// target checks a configured URL: scheme, port (IS-DISC-10), nothing that does not belong there.
func (c *compiler) target(at spot, text string, schemes ...string) bool {
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" || u.Opaque != "" {
		// the text is not repeated: a password may stand in it
		at.error(v1alpha1.ReasonInvalidValue, "must be an absolute URL with scheme %s", strings.Join(schemes, " or "))
		return false
	}
	if u.User != nil || u.Fragment != "" {
		at.error(v1alpha1.ReasonInvalidValue, "the URL must not carry a user name or a fragment")
		return false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n != 443 && n < 1024 {
		at.error(v1alpha1.ReasonInvalidValue, "port %s may not be connected to: only 443 and ports from 1024 on may", port)
		return false
	}
	c.warnOfEgress(at, u.Hostname())
	return true
}

// warnOfEgress foresees, for literal addresses, what the address guard will say. Names are judged when connected to.
func (c *compiler) warnOfEgress(at spot, host string) {
	if host == "localhost" {
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return
	}
	addr = addr.Unmap()
	if addr.IsGlobalUnicast() && !addr.IsPrivate() {
		return
	}
	if !slices.ContainsFunc(c.egress.BackendCIDRs, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		at.warn(v1alpha1.ReasonEgressDenied, "%s is not a public address: connections to it are refused until spec.egress.backendCIDRs of the gateway holds it", addr)
	}
}

// submitters compiles who may send for a domain; one that is wrong is left out. IS-SUB-1.
func (c *compiler) submitters(list spot, submitters []v1alpha1.Submitter) []snapshot.Submitter {
	var out []snapshot.Submitter
	for i, s := range submitters {
		at := list.index(i).isolated()
		compiled := snapshot.Submitter{Name: s.Name}
		switch {
		case (s.TokenRef == nil) == (s.ClientCertificate == nil):
			at.error(v1alpha1.ReasonInvalidValue, "a submitter needs exactly one of tokenRef and clientCertificate")
		case s.TokenRef != nil:
			compiled.TokenSHA256 = c.token(at.to("tokenRef"), *s.TokenRef)
		default:
			compiled.Certificate = c.clientCertificate(at.to("clientCertificate"), s.ClientCertificate)
		}
		if at.failed() {
			continue
		}
		same := slices.IndexFunc(out, func(o snapshot.Submitter) bool {
			return o.Name == s.Name || len(o.TokenSHA256) > 0 && bytes.Equal(o.TokenSHA256, compiled.TokenSHA256)
		})
		if same >= 0 {
			at.to("name").error(v1alpha1.ReasonConflict, "submitter %q has the same name or token: give each its own", out[same].Name)
			continue
		}
		out = append(out, compiled)
	}
	slices.SortFunc(out, func(a, b snapshot.Submitter) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (c *compiler) token(at spot, ref v1alpha1.SecretKeyRef) []byte {
	value, ok := c.secretValue(at, ref)
	if !ok {
		return nil
	}
	value = bytes.TrimSpace(value) // files end in newlines, and so do Secrets made from them
	if bytes.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		at.to("key").error(v1alpha1.ReasonInvalidValue, "key %q of Secret %q is no token: it may hold visible ASCII characters only", ref.Key, ref.Name)
		return nil
	}
	if len(value) < minTokenBytes {
		at.to("key").warn(v1alpha1.ReasonWeak, "the token in key %q of Secret %q is shorter than %d characters: make a longer one at random", ref.Key, ref.Name, minTokenBytes)
	}
	sum := sha256.Sum256(value)
	return sum[:]
}

func (c *compiler) clientCertificate(at spot, cert *v1alpha1.ClientCertificate) *snapshot.ClientCertificate {
	ca := c.bundle(at.to("caRef"), cert.CARef)
	names := slices.Clone(cert.Names)
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 || names[0] == "" {
		at.to("names").error(v1alpha1.ReasonInvalidValue, "name the DNS names or URIs of which the certificate must carry one")
	}
	return &snapshot.ClientCertificate{CA: ca, Names: names}
}
