package compile

import (
	"slices"
	"time"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/snapshot"
)

// minSignatureLifetime leaves a receiver's clock some room (IS-DKIM-7).
const minSignatureLifetime = time.Minute

func domainMeta(d *v1alpha1.FederatedDomain) meta {
	return meta{v1alpha1.KindFederatedDomain, d.Namespace, d.Name, d.CreationTimestamp.Time}
}

// domain compiles one domain; false when something that is for it has nowhere to go.
func (c *compiler) domain(at spot, d *v1alpha1.FederatedDomain, name string) (snapshot.Domain, bool) {
	spec := &d.Spec
	out := snapshot.Domain{
		Name:       name,
		Source:     d.Namespace + "/" + d.Name,
		Signing:    c.signing(at.to("signing"), spec.Signing, name, len(spec.Submitters)),
		Accepts:    c.messages(at.to("accepts"), spec.Accepts),
		Submitters: c.submitters(at.to("submitters"), spec.Submitters),
		Fallback:   c.fallback(at.to("fallback"), spec.Fallback),
	}
	backendAt := at.to("backend").isolated()
	out.Backend = c.backend(backendAt, &spec.Backend)
	answers := &spec.Backend
	answersAt := backendAt
	if spec.FreeBusyBackend != nil {
		answers, answersAt = spec.FreeBusyBackend, at.to("freeBusyBackend").isolated()
		out.FreeBusyBackend = c.freeBusyBackend(answersAt, answers)
	}
	if c.asksFreeBusy(out.Accepts) {
		warnOfFreeBusy(answersAt, answers)
	}
	if spec.Publish != nil {
		c.publish(at.to("publish").isolated(), d, name)
	}
	return out, !backendAt.failed() && !answersAt.failed()
}

func (c *compiler) signing(at spot, s *v1alpha1.Signing, domain string, submitters int) snapshot.Signing {
	var out snapshot.Signing
	if s == nil {
		if submitters > 0 {
			at.warn(v1alpha1.ReasonNoKey, "%s has submitters and no signing key: it receives messages and cannot send any", domain)
		}
		return out
	}
	pending := true // no key is wrong: those there are do not sign yet
	for i, ref := range s.Keys {
		at := at.to("keys").index(i).to("name").isolated()
		out.Keys = append(out.Keys, c.keysFor(at, ref.Name, domain)...)
		pending = pending && !at.failed() && c.keys[ref.Name].made()
	}
	out.Keys = compactKeys(out.Keys)
	switch {
	case slices.ContainsFunc(out.Keys, func(k snapshot.Key) bool { return k.Signs() }):
	case pending:
		at.to("keys").warn(v1alpha1.ReasonNoKey, "no key signs yet: %s receives messages and cannot send any until the operator has made one and seen its record", domain)
	default:
		at.to("keys").warn(v1alpha1.ReasonNoKey, "none of the keys can be used: %s receives messages and cannot send any", domain)
	}
	for _, m := range s.Lookup {
		if !slices.Contains(out.Lookup, string(m)) {
			out.Lookup = append(out.Lookup, string(m))
		}
	}
	out.Mail = s.Mail == v1alpha1.Enabled && c.keysSignMail(at, s, out.Keys)
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

// keysSignMail checks that the keys may sign mail (RFC 6376 §3.6.1), and that mail receivers find them.
func (c *compiler) keysSignMail(at spot, s *v1alpha1.Signing, keys []snapshot.Key) bool {
	at = at.isolated()
	for i, ref := range s.Keys {
		k := c.keys[ref.Name]
		if k == nil || k.object.Spec.ServiceType != v1alpha1.ServiceISchedule {
			continue
		}
		if slices.ContainsFunc(keys, func(usable snapshot.Key) bool { return usable.Signs() && usable.Source == k.meta.id() }) {
			at.to("keys").index(i).to("name").error(v1alpha1.ReasonInvalidValue, "serviceType ISchedule keeps DKIMKey %q from signing mail: make it Any, or set spec.signing.mail to Disabled; until then no mail is signed", ref.Name)
		}
	}
	if len(s.Lookup) > 0 && !slices.Contains(s.Lookup, v1alpha1.LookupDNS) {
		at.to("mail").warn(v1alpha1.ReasonNoEffect, "mail receivers find keys by dns/txt alone: add it to spec.signing.lookup, and publish the record")
	}
	return slices.ContainsFunc(keys, func(k snapshot.Key) bool { return k.Signs() }) && !at.failed()
}

// fallback compiles the slower way; one that leads nowhere is left out. IS-SEND-7.
func (c *compiler) fallback(at spot, f *v1alpha1.Fallback) snapshot.Fallback {
	switch {
	case f == nil:
		return ""
	case f.Type != v1alpha1.FallbackIMIP:
		at.to("type").error(v1alpha1.ReasonInvalidValue, "%q is no fallback: IMIP is one", f.Type)
	case !c.smarthost:
		at.error(v1alpha1.ReasonRefNotFound, "mail cannot leave: the gateway has no spec.submission.smarthost; without it, messages to domains without iSchedule are refused")
	default:
		return snapshot.FallbackIMIP
	}
	return ""
}
