package compile

import (
	"bytes"
	"cmp"
	"crypto/rsa"
	"slices"
	"strings"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/snapshot"
)

// failClosed says what an error in a policy means.
const failClosed = "; until this is mended the policy refuses its peers"

// policy is a compiled policy with its object.
type policy struct {
	object   *v1alpha1.PeerPolicy
	meta     meta
	compiled snapshot.Policy
}

// compilePolicies compiles the policies of the namespace, in the order of their IDs. One without a usable peer pattern is left out; one
// that is wrong otherwise refuses its peers: dropping it could let a wider policy allow what it was to refuse.
func (c *compiler) compilePolicies(all []*v1alpha1.PeerPolicy) *policyIndex {
	var out []policy
	slices.SortFunc(all, func(a, b *v1alpha1.PeerPolicy) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name)) // the oldest have room first
	})
	for _, p := range all {
		m := meta{v1alpha1.KindPeerPolicy, p.Namespace, p.Name, p.CreationTimestamp.Time}
		at := c.report.at(m, "spec")
		at.suffix = failClosed
		spec := &p.Spec
		compiled := snapshot.Policy{
			ID:      m.id(),
			Created: m.created.UTC(),
			Peers:   patterns(at.to("peers"), spec.Peers),
			Domains: patterns(at.to("domains"), spec.Domains),
			Action:  snapshot.Action(spec.Action),
		}
		if spec.Action != v1alpha1.ActionAllow && spec.Action != v1alpha1.ActionDeny {
			at.to("action").error(v1alpha1.ReasonInvalidValue, "%q is neither Allow nor Deny", spec.Action)
		}
		if spec.Inbound != nil {
			compiled.Inbound = c.inbound(at.to("inbound"), spec.Inbound)
		}
		if spec.Outbound != nil {
			compiled.Outbound = c.outbound(at.to("outbound"), spec.Outbound)
		}
		if at.failed() {
			compiled.Action, compiled.Inbound, compiled.Outbound = snapshot.Deny, snapshot.Inbound{}, snapshot.Outbound{}
		}
		if len(compiled.Peers) == 0 || len(spec.Domains) > 0 && len(compiled.Domains) == 0 {
			continue // an empty list of domains would mean all
		}
		out = append(out, policy{object: p, meta: m, compiled: compiled})
	}
	slices.SortFunc(out, func(a, b policy) int { return cmp.Compare(a.compiled.ID, b.compiled.ID) })
	return newPolicyIndex(out)
}

// patterns compiles domain patterns, sorted.
func patterns(at spot, list []v1alpha1.DomainPattern) []string {
	var out []string
	for i, p := range list {
		text, ok := normalPattern(string(p))
		if !ok {
			at.index(i).error(v1alpha1.ReasonInvalidValue, "%q is no domain pattern: write sender.example, *.sender.example or *", p)
			continue
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func normalPattern(p string) (string, bool) {
	if p == "*" {
		return p, true
	}
	suffix, wild := strings.CutPrefix(p, "*.")
	name, err := cua.Domain(suffix)
	if wild {
		name = "*." + name
	}
	return name, err == nil
}

func (c *compiler) inbound(at spot, in *v1alpha1.Inbound) snapshot.Inbound {
	out := snapshot.Inbound{
		Messages:                      c.messages(at.to("messages"), in.Messages),
		SignatureTimeOptional:         in.SignatureTime == v1alpha1.Optional,
		ContentTypeParametersOptional: in.ContentTypeParameters == v1alpha1.Optional,
		Strict:                        in.Strict,
		FreeBusy:                      snapshot.FreeBusy(in.FreeBusy),
		HideUnknownUsers:              in.UnknownUsers == v1alpha1.UnknownUsersHide,
	}
	if in.Rate != "" {
		out.Rate = rate(at.to("rate"), in.Rate)
	}
	if in.MaxRecipients != nil {
		out.MaxRecipients = int(*in.MaxRecipients)
		if out.MaxRecipients > c.capabilities.MaxRecipients {
			at.to("maxRecipients").warn(v1alpha1.ReasonNoEffect, "the gateway takes %d recipients at most: this limit has no effect", c.capabilities.MaxRecipients)
		}
	}
	if in.MinRSABits != nil {
		out.MinRSABits = int(*in.MinRSABits)
	}
	if in.MaxAge != nil {
		out.MaxAge = in.MaxAge.Duration
		if out.MaxAge <= 0 {
			at.to("maxAge").error(v1alpha1.ReasonInvalidValue, "must be longer than nothing")
		}
	}
	for i, m := range in.KeyLookup {
		if m == v1alpha1.LookupPrivate {
			at.to("keyLookup").index(i).error(v1alpha1.ReasonInvalidValue, "a key exchanged in private belongs in pinnedKeys")
			continue
		}
		out.KeyLookup = append(out.KeyLookup, string(m))
	}
	out.PinnedKeys = pinnedKeys(at.to("pinnedKeys"), in.PinnedKeys, cmp.Or(out.MinRSABits, minRSABits))
	for i, d := range in.ThirdPartySigners {
		name, err := cua.Domain(string(d))
		if err != nil {
			at.to("thirdPartySigners").index(i).error(v1alpha1.ReasonInvalidValue, "%q is no domain name", d)
			continue
		}
		out.ThirdPartySigners = append(out.ThirdPartySigners, name)
	}
	slices.Sort(out.ThirdPartySigners)
	out.ThirdPartySigners = slices.Compact(out.ThirdPartySigners)
	return out
}

// pinnedKeys compiles the keys agreed on with a peer. IS-DKIM-9.
func pinnedKeys(list spot, keys []v1alpha1.PinnedKey, minBits int) []snapshot.PinnedKey {
	var out []snapshot.PinnedKey
	for i := range keys {
		out = append(out, pinnedKey(list.index(i), &keys[i], minBits, "minRSABits demands"))
	}
	slices.SortFunc(out, func(a, b snapshot.PinnedKey) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Selector, b.Selector), cmp.Compare(a.Record, b.Record))
	})
	return slices.Compact(out)
}

// pinnedKey compiles one key; demands says who wants minBits of it.
func pinnedKey(at spot, k *v1alpha1.PinnedKey, minBits int, demands string) snapshot.PinnedKey {
	pinned := snapshot.PinnedKey{Selector: strings.ToLower(k.Selector), Record: k.Record}
	if _, err := cua.Domain(k.Selector); err != nil {
		at.to("selector").error(v1alpha1.ReasonInvalidValue, "%q is no selector: letters, digits and hyphens", k.Selector)
	}
	if k.Domain != "" {
		name, err := cua.Domain(string(k.Domain))
		if err != nil {
			at.to("domain").error(v1alpha1.ReasonInvalidValue, "%q is no domain name", k.Domain)
		}
		pinned.Domain = name
	}
	record, err := dkim.ParseRecord(k.Record)
	switch {
	case err != nil:
		at.to("record").error(v1alpha1.ReasonInvalidValue, "no key record: %s", err)
	case record.Revoked:
		at.to("record").error(v1alpha1.ReasonInvalidValue, "the record has an empty p=: it revokes the key")
	case record.Testing:
		at.to("record").warn(v1alpha1.ReasonNoEffect, "the record says t=y: signatures made with a key in testing do not count")
	default:
		if pub, isRSA := record.Public.(*rsa.PublicKey); isRSA && pub.N.BitLen() < minBits {
			at.to("record").warn(v1alpha1.ReasonWeak, "the RSA key has %d bits, less than the %d that %s: its signatures are refused", pub.N.BitLen(), minBits, demands)
		}
	}
	return pinned
}

func (c *compiler) outbound(at spot, o *v1alpha1.Outbound) snapshot.Outbound {
	out := snapshot.Outbound{Endpoint: o.Endpoint, RequireSecureIdentity: string(o.RequireSecureIdentity), SignatureProfile: string(o.SignatureProfile)}
	if o.SignatureProfile != "" && o.SignatureProfile != v1alpha1.SignatureDAViCal {
		at.to("signatureProfile").error(v1alpha1.ReasonInvalidValue, "%q is no signature profile: DAViCal is one, and none means the standard", o.SignatureProfile)
	}
	if o.Endpoint != "" {
		at := at.to("endpoint")
		if c.target(at, o.Endpoint, "https") && strings.Contains(o.Endpoint, "?") {
			at.error(v1alpha1.ReasonInvalidValue, "the URL must not carry a query: messages are posted to the path alone")
		}
		c.endpointHost(at, hostOf(o.Endpoint))
	}
	if o.CABundleRef != nil {
		out.CABundle = c.bundle(at.to("caBundleRef"), *o.CABundleRef)
	}
	for i, pin := range o.CertificateSHA256 {
		pin = strings.ToLower(pin)
		if len(pin) != 64 || strings.Trim(pin, "0123456789abcdef") != "" {
			at.to("certificateSHA256").index(i).error(v1alpha1.ReasonInvalidValue, "must be 64 hexadecimal digits")
		}
		out.CertificateSHA256 = append(out.CertificateSHA256, pin)
	}
	slices.Sort(out.CertificateSHA256)
	out.CertificateSHA256 = slices.Compact(out.CertificateSHA256)
	if o.ClientCertificateRef != nil {
		out.ClientCertificate, _ = c.keyPair(at.to("clientCertificateRef").to("name"), *o.ClientCertificateRef, "create it, of type kubernetes.io/tls")
	}
	if o.AuthorizationRef != nil {
		out.Authorization = c.authorization(at.to("authorizationRef"), *o.AuthorizationRef)
	}
	if o.Timeout != nil {
		out.Timeout = o.Timeout.Duration
		if out.Timeout <= 0 {
			at.to("timeout").error(v1alpha1.ReasonInvalidValue, "must be longer than nothing")
		}
	}
	return out
}

// maxAuthorization bounds a header field value.
const maxAuthorization = 8 << 10

func (c *compiler) authorization(at spot, ref v1alpha1.SecretKeyRef) string {
	value, ok := c.secretValue(at, ref)
	if !ok {
		return ""
	}
	value = bytes.TrimSpace(value)
	if len(value) > maxAuthorization || bytes.ContainsFunc(value, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		at.to("key").error(v1alpha1.ReasonInvalidValue, "key %q of Secret %q is no field value: one line of visible ASCII characters and blanks, such as Bearer and a token", ref.Key, ref.Name)
		return ""
	}
	if !bytes.ContainsRune(value, ' ') {
		at.to("key").warn(v1alpha1.ReasonInvalidValue, "key %q of Secret %q has no scheme: the whole value of the Authorization field is meant, such as Bearer and a token", ref.Key, ref.Name)
	}
	return string(value)
}
