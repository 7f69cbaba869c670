package compile

import (
	"cmp"
	"crypto"
	"crypto/rsa"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/snapshot"
)

// minRSABits is what receivers demand unless told otherwise (IS-DKIM-5).
const minRSABits = 2048

// revokedRecord says that a key must not be believed (RFC 6376 §3.6.1).
const revokedRecord = "v=DKIM1; p="

// signingKey is a DKIMKey and, once a domain asked for it, what became of it: the key that signs first, revoked ones last.
type signingKey struct {
	object    *v1alpha1.DKIMKey
	meta      meta
	generated []keylife.Key
	winners   map[string]meta // the older DKIMKey that has a selector, by selector
	compiled  []snapshot.Key
	done      bool
}

// made says whether the operator makes the keys, rather than a person.
func (k *signingKey) made() bool { return k.object.Spec.Source.Generated != nil }

// indexKeys takes the keys of the namespace. Of two that have one selector of one domain the older one counts, also where the
// other one revokes it: the record in DNS can be that of one only. Namespaces cannot hurt each other so: a gateway serves the record
// of the domain itself before those of domains below it (snapshot.Active.Key).
func (c *compiler) indexKeys(keys []*v1alpha1.DKIMKey) {
	c.keys = make(map[string]*signingKey, len(keys))
	sorted := make([]*signingKey, 0, len(keys))
	for _, k := range keys {
		sorted = append(sorted, &signingKey{object: k, meta: meta{v1alpha1.KindDKIMKey, k.Namespace, k.Name, k.CreationTimestamp.Time}})
	}
	slices.SortFunc(sorted, func(a, b *signingKey) int { return older(a.meta, b.meta) })
	claimed := map[string]*signingKey{}
	for _, k := range sorted {
		c.keys[k.object.Name] = k
		if k.made() {
			k.generated = keylife.Of(k.object, c.values.generated[object{k.object.Namespace, k.object.Name}])
		}
		for _, selector := range k.selectors() {
			name := strings.ToLower(selector + "._domainkey." + string(k.object.Spec.Domain))
			if first, taken := claimed[name]; !taken {
				claimed[name] = k
			} else if first != k {
				if k.winners == nil {
					k.winners = map[string]meta{}
				}
				k.winners[selector] = first.meta
			}
		}
	}
}

// selectors are all that the DKIMKey has a record under.
func (k *signingKey) selectors() []string {
	var out []string
	if source := k.object.Spec.Source.Imported; source != nil {
		out = append(out, string(source.Selector))
	}
	for _, g := range k.generated {
		if keylife.Outside(g.State) {
			out = append(out, g.Selector)
		}
	}
	for _, s := range k.object.Spec.Revoked {
		if !slices.Contains(out, string(s)) {
			out = append(out, string(s))
		}
	}
	return out
}

// keysFor are the keys of a DKIMKey for a domain; none when it cannot be used.
func (c *compiler) keysFor(at spot, name, domain string) []snapshot.Key {
	k, ok := c.keys[name]
	if !ok {
		c.missing(at, v1alpha1.KindDKIMKey, name, createOrCorrect)
		return nil
	}
	keys := c.compileKeys(k)
	switch speaksFor, err := cua.Domain(string(k.object.Spec.Domain)); {
	case err != nil: // said at the DKIMKey
		return nil
	case !cua.WithinDomain(domain, speaksFor):
		at.error(v1alpha1.ReasonInvalidValue, "DKIMKey %q is for %s, which does not speak for %s: its domain must be %s or a parent of it", name, speaksFor, domain, domain)
		return nil
	case speaksFor != domain && c.namespace != c.gateway.namespace && !c.trustOwners:
		// it would speak for every name below, those of other namespaces among them
		at.error(v1alpha1.ReasonNotAllowed, "DKIMKey %q is for %s: outside of the gateway's namespace only keys for the domain itself, %s, may sign", name, speaksFor, domain)
		return nil
	}
	return keys
}

// noteUsers notes who uses a DKIMKey.
func (c *compiler) noteUsers(d *v1alpha1.FederatedDomain, users map[string][]string) {
	if d.Spec.Signing == nil {
		return
	}
	id := domainMeta(d).id()
	for _, ref := range d.Spec.Signing.Keys {
		if k, ok := c.keys[ref.Name]; ok && !slices.Contains(users[k.meta.id()], id) {
			users[k.meta.id()] = append(users[k.meta.id()], id)
		}
	}
}

// compactKeys keeps one of the keys under a selector: a resource may be named twice.
func compactKeys(keys []snapshot.Key) []snapshot.Key {
	var out []snapshot.Key
	for _, k := range keys {
		if !slices.ContainsFunc(out, func(o snapshot.Key) bool { return o.Domain == k.Domain && o.Selector == k.Selector }) {
			out = append(out, k)
		}
	}
	return out
}

// compileKeys compiles a DKIMKey once, however many domains use it.
func (c *compiler) compileKeys(k *signingKey) []snapshot.Key {
	if k.done {
		return k.compiled
	}
	k.done = true
	at := c.report.at(k.meta, "spec")
	domain, err := cua.Domain(string(k.object.Spec.Domain))
	if err != nil {
		at.to("domain").error(v1alpha1.ReasonInvalidValue, "%q is no domain name", k.object.Spec.Domain)
	} else if isPublicSuffix(domain) {
		// IS-DKIM-8: no receiver believes it
		at.to("domain").error(v1alpha1.ReasonInvalidValue, "%s is a public suffix: no receiver accepts signatures that speak for all domains below it", domain)
	}
	usable := !at.failed()
	var keys []snapshot.Key
	switch source := &k.object.Spec.Source; {
	case source.Generated != nil:
		keys = c.generatedKeys(at.to("source").to("generated"), k, domain)
	case source.Imported != nil:
		keys = c.importedKey(at.to("source").to("imported"), k, domain)
	default:
		at.to("source").error(v1alpha1.ReasonInvalidValue, "type %q needs the member imported or generated", source.Type)
	}
	for i, s := range k.object.Spec.Revoked {
		keys = append(keys, c.revokedKey(at.to("revoked").index(i), k, domain, string(s))...)
	}
	if !usable {
		return nil
	}
	slices.SortStableFunc(keys, func(a, b snapshot.Key) int { return cmp.Compare(turn(a.State), turn(b.State)) })
	k.compiled = keys
	return k.compiled
}

// turn orders the keys of a DKIMKey.
func turn(s snapshot.KeyState) int {
	return slices.Index([]snapshot.KeyState{snapshot.KeyActive, snapshot.KeyStandby, snapshot.KeyRevoked}, s)
}

// importedKey compiles a key that was made elsewhere; none when it cannot be used, or is revoked.
func (c *compiler) importedKey(at spot, k *signingKey, domain string) []snapshot.Key {
	at = at.isolated()
	source := k.object.Spec.Source.Imported
	if slices.Contains(k.object.Spec.Revoked, source.Selector) {
		return nil
	}
	selector := c.selector(at.to("selector"), k, string(source.Selector), "choose another selector")
	private, ok := c.secretValue(at.to("secretRef"), source.SecretRef)
	if !ok || at.failed() {
		return nil
	}
	at = at.to("secretRef").to("key")
	signer, err := dkim.ParsePrivateKey(private)
	if err != nil {
		at.error(v1alpha1.ReasonInvalidValue, "key %q of Secret %q is no private key that can sign: %s", source.SecretRef.Key, source.SecretRef.Name, err)
		return nil
	}
	if pub, isRSA := signer.Public().(*rsa.PublicKey); isRSA && pub.N.BitLen() < minRSABits {
		at.warn(v1alpha1.ReasonWeak, "the RSA key has %d bits: most receivers refuse less than %d", pub.N.BitLen(), minRSABits)
	}
	record, err := k.record(signer)
	if err != nil {
		at.error(v1alpha1.ReasonInvalidValue, "key %q of Secret %q has no record form: %s", source.SecretRef.Key, source.SecretRef.Name, err)
		return nil
	}
	if k.reuses(signer) {
		at.error(v1alpha1.ReasonSelectorReused, "Secret %q holds another key than the one that was published under selector %s: put the old key back, or give the new one a selector of its own", source.SecretRef.Name, selector)
		return nil
	}
	return []snapshot.Key{{Source: k.meta.id(), Domain: domain, Selector: selector, Private: private, Record: record}}
}

// reuses says whether the status remembers another key under the selector of an imported one: receivers have that in their caches.
func (k *signingKey) reuses(signer crypto.Signer) bool {
	for _, seen := range k.object.Status.Keys {
		if seen.Selector != string(k.object.Spec.Source.Imported.Selector) {
			continue
		}
		was, err := dkim.ParseRecord(seen.Record)
		public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
		return err == nil && was.Public != nil && ok && !public.Equal(was.Public)
	}
	return false
}

// generatedKeys compiles what the operator made: the one that signs with its private key, those that are published before or
// after their time without, and no retired ones.
func (c *compiler) generatedKeys(at spot, k *signingKey, domain string) []snapshot.Key {
	if c.trustOwners && len(k.generated) == 0 {
		at.warn(v1alpha1.ReasonNoKey, "keys of type Generated are made by the operator: without a cluster nothing is signed with them")
	}
	var out []snapshot.Key
	for i := range k.generated {
		g := &k.generated[i]
		if !keylife.Outside(g.State) || g.State == v1alpha1.KeyRevoked && g.Secret == "" { // the latter is said by spec.revoked alone
			continue
		}
		at := at.isolated()
		key := snapshot.Key{Source: k.meta.id(), Domain: domain, Selector: c.selector(at, k, g.Selector, "choose another selectorPrefix, and rotate")}
		switch {
		case at.failed():
			continue
		case g.State == v1alpha1.KeyRevoked:
			key.State, key.Record = snapshot.KeyRevoked, revokedRecord
		default:
			signer, err := dkim.ParsePrivateKey(g.Private)
			if err == nil {
				key.Record, err = k.record(signer)
			}
			if err != nil {
				at.error(v1alpha1.ReasonInvalidValue, "Secret %q holds no private key that can sign: %s", g.Secret, err)
				continue
			}
			key.State = snapshot.KeyStandby
			if keylife.Signs(g.State) {
				key.State, key.Private = snapshot.KeyActive, g.Private
			}
		}
		out = append(out, key)
	}
	return out
}

// revokedKey is the record that says so.
func (c *compiler) revokedKey(at spot, k *signingKey, domain, selector string) []snapshot.Key {
	at = at.isolated()
	selector = c.selector(at, k, selector, "revoke it there")
	if at.failed() {
		return nil
	}
	return []snapshot.Key{{Source: k.meta.id(), Domain: domain, Selector: selector, State: snapshot.KeyRevoked, Record: revokedRecord}}
}

// selector checks a selector, and that no older DKIMKey has it.
func (c *compiler) selector(at spot, k *signingKey, text, cure string) string {
	selector, err := cua.Domain(text) // labels of the same form
	if err != nil {
		at.error(v1alpha1.ReasonInvalidValue, "%q is no selector: letters, digits and hyphens", text)
	}
	if winner, taken := k.winners[text]; taken {
		at.error(v1alpha1.ReasonConflict, "DKIMKey %s already has selector %s of %s: %s", winner.id(), text, k.object.Spec.Domain, cure)
	}
	return selector
}

// record is what is published of a key.
func (k *signingKey) record(signer crypto.Signer) (string, error) {
	return dkim.FormatRecord(signer.Public(), k.object.Spec.ServiceType == v1alpha1.ServiceISchedule)
}

func isPublicSuffix(domain string) bool {
	suffix, _ := publicsuffix.PublicSuffix(domain)
	return suffix == domain
}
