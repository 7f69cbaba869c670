package compile

import (
	"crypto/rsa"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/snapshot"
)

// minRSABits is what receivers demand unless told otherwise (IS-DKIM-5).
const minRSABits = 2048

// signingKey is a DKIMKey of the namespace and, once a domain asked for it, what became of it.
type signingKey struct {
	object   *v1alpha1.DKIMKey
	meta     meta
	winner   *meta // the older key under the same selector
	compiled *snapshot.Key
	done     bool
}

// indexKeys finds the keys of the namespace. Of two under one selector of one domain the older one counts: the
// record in DNS can be that of one only.
func (c *compiler) indexKeys(keys []v1alpha1.DKIMKey) {
	c.keys = map[string]*signingKey{}
	var sorted []*signingKey
	for i := range keys {
		if k := &keys[i]; k.Namespace == c.namespace {
			sorted = append(sorted, &signingKey{object: k, meta: meta{v1alpha1.KindDKIMKey, k.Namespace, k.Name, k.CreationTimestamp.Time}})
		}
	}
	slices.SortFunc(sorted, func(a, b *signingKey) int { return older(a.meta, b.meta) })
	claimed := map[string]*signingKey{}
	for _, k := range sorted {
		c.keys[k.object.Name] = k
		source := k.object.Spec.Source.Imported
		if source == nil {
			continue
		}
		name := strings.ToLower(string(source.Selector) + "._domainkey." + string(k.object.Spec.Domain))
		if first, taken := claimed[name]; taken {
			k.winner = &first.meta
			continue
		}
		claimed[name] = k
	}
}

// key compiles a DKIMKey once, however many domains use it; nil when it cannot be used.
func (c *compiler) key(k *signingKey) *snapshot.Key {
	if !k.done {
		k.done = true
		k.compiled = c.compileKey(k)
	}
	return k.compiled
}

func (c *compiler) compileKey(k *signingKey) *snapshot.Key {
	at := c.report.at(k.meta, "spec")
	spec := &k.object.Spec
	domain, err := cua.Domain(string(spec.Domain))
	if err != nil {
		at.to("domain").error(v1alpha1.ReasonInvalidValue, "%q is no domain name", spec.Domain)
	} else if isPublicSuffix(domain) {
		// IS-DKIM-8: no receiver believes it
		at.to("domain").error(v1alpha1.ReasonInvalidValue, "%s is a public suffix: no receiver accepts signatures that speak for all domains below it", domain)
	}
	source := spec.Source.Imported
	if source == nil {
		at.to("source").error(v1alpha1.ReasonInvalidValue, "type %q needs the member imported", spec.Source.Type)
		return nil
	}
	at = at.to("source").to("imported")
	selector, err := cua.Domain(string(source.Selector)) // labels of the same form
	if err != nil {
		at.to("selector").error(v1alpha1.ReasonInvalidValue, "%q is no selector: letters, digits and hyphens", source.Selector)
	}
	if k.winner != nil {
		at.to("selector").error(v1alpha1.ReasonConflict, "DKIMKey %s already has selector %s of %s: choose another selector", k.winner.id(), source.Selector, spec.Domain)
	}
	private, ok := c.secretValue(at.to("secretRef"), source.SecretRef)
	if !ok || at.failed() {
		return nil
	}
	signer, err := dkim.ParsePrivateKey(private)
	if err != nil {
		at.to("secretRef").to("key").error(v1alpha1.ReasonInvalidValue, "key %q of Secret %q is no private key that can sign: %s", source.SecretRef.Key, source.SecretRef.Name, err)
		return nil
	}
	if pub, isRSA := signer.Public().(*rsa.PublicKey); isRSA && pub.N.BitLen() < minRSABits {
		at.to("secretRef").to("key").warn(v1alpha1.ReasonWeak, "the RSA key has %d bits: most receivers refuse less than %d", pub.N.BitLen(), minRSABits)
	}
	record, err := dkim.FormatRecord(signer.Public(), spec.ServiceType == v1alpha1.ServiceISchedule)
	if err != nil {
		at.to("secretRef").to("key").error(v1alpha1.ReasonInvalidValue, "key %q of Secret %q has no record form: %s", source.SecretRef.Key, source.SecretRef.Name, err)
		return nil
	}
	return &snapshot.Key{Source: k.meta.id(), Domain: domain, Selector: selector, Private: private, Record: record}
}

func isPublicSuffix(domain string) bool {
	suffix, _ := publicsuffix.PublicSuffix(domain)
	return suffix == domain
}
