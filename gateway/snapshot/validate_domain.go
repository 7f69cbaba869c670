package snapshot

import (
	"crypto"
	"errors"
	"fmt"
	"slices"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/dkim"
)

// domainValidator remembers what must agree between domains.
type domainValidator struct {
	smarthost bool // mail can leave
	policies  map[string]*Policy
	names     map[string]bool
	memory    *memory
}

func validateDomains(domains []Domain, policies map[string]*Policy, smarthost bool, m *memory) error {
	v := &domainValidator{smarthost, policies, map[string]bool{}, m}
	return each(domains, v.domain)
}

func (v *domainValidator) domain(d *Domain) error {
	if err := checkDomain(d.Name); err != nil {
		return at("name", err)
	}
	if v.names[d.Name] {
		return wrong("name", "%q appears twice", d.Name)
	}
	v.names[d.Name] = true
	return firstError(
		at("signing", v.signing(d)),
		at("backend", d.Backend.validate(v.smarthost)),
		at("freeBusyBackend", validateFreeBusy(d.FreeBusyBackend)),
		at("fallback", v.fallback(d.Fallback)),
		at("accepts", each(d.Accepts, (*Messages).validate)),
		at("submitters", validateSubmitters(d.Submitters, v.memory)),
		at("policies", v.references(d)),
	)
}

func (v *domainValidator) signing(d *Domain) error {
	here := make(map[keyName]bool)
	err := each(d.Signing.Keys, func(k *Key) error {
		name := keyName{k.Domain, k.Selector}
		if here[name] {
			return wrong("selector", "%q appears twice", k.Selector)
		}
		here[name] = true
		return v.key(d, k)
	})
	if err != nil {
		return at("keys", err)
	}
	if l := d.Signing.Lifetime; l < 0 {
		return wrong("lifetime", "must not be negative")
	}
	if d.Signing.Mail && !slices.ContainsFunc(d.Signing.Keys, func(k Key) bool { return k.Signs() }) {
		return wrong("mail", "there is no key to sign with")
	}
	return at("lookup", checkMethods(d.Signing.Lookup))
}

func (v *domainValidator) key(d *Domain, k *Key) error {
	if err := checkDomain(k.Domain); err != nil {
		return at("domain", err)
	}
	if !cua.WithinDomain(d.Name, k.Domain) { // IS-DKIM-8
		return wrong("domain", "%q does not speak for %q", k.Domain, d.Name)
	}
	if err := checkDomain(k.Selector); err != nil { // labels of the same form, RFC 6376 §3.1
		return at("selector", err)
	}
	return v.record(d, k)
}

// record checks that what is published says what the key's state is and, of a key that signs, is its public half.
func (v *domainValidator) record(d *Domain, k *Key) error {
	switch k.State {
	case KeyActive, KeyStandby, KeyRevoked:
	default:
		return wrong("state", "%q is none of a key of this version", k.State)
	}
	record, err := dkim.ParseRecord(k.Record)
	if err != nil {
		return at("record", err)
	}
	switch {
	case record.Revoked && k.State != KeyRevoked:
		return wrong("record", "the key is revoked")
	case !record.Revoked && k.State == KeyRevoked:
		return wrong("record", "the key is not revoked: p= is not empty")
	}
	if !k.Signs() {
		return nil
	}
	public, err := v.memory.public(k.Private)
	if err != nil {
		return at("private", err)
	}
	// RFC 6376 §3.6.1
	if d.Signing.Mail && record.Services != nil && !slices.Contains(record.Services, "*") && !slices.Contains(record.Services, "email") {
		return wrong("record", "s= does not let the key sign mail")
	}
	if own, ok := record.Public.(interface{ Equal(crypto.PublicKey) bool }); !ok || !own.Equal(public) {
		return wrong("record", "the record is not that of the private key")
	}
	return nil
}

func (v *domainValidator) fallback(f Fallback) error {
	switch f {
	case "":
		return nil
	case FallbackIMIP:
		if !v.smarthost {
			return errors.New("there is no smarthost")
		}
		return nil
	}
	return fmt.Errorf("%q is no fallback of this version", f)
}

// references checks that the listed policies exist and cover the domain.
func (v *domainValidator) references(d *Domain) error {
	seen := make(map[string]bool, len(d.Policies))
	return each(d.Policies, func(id *string) error {
		p := v.policies[*id]
		switch {
		case p == nil:
			return fmt.Errorf("there is no policy %q", *id)
		case seen[*id]:
			return fmt.Errorf("%q appears twice", *id)
		case p.Coverage(d.Name) < 0:
			return fmt.Errorf("%q does not cover %q", *id, d.Name)
		}
		seen[*id] = true
		return nil
	})
}

// checkMethods demands known key look-up methods, each once.
func checkMethods(methods []string) error {
	for i, m := range methods {
		if m != dkim.MethodDNS && m != dkim.MethodWellKnown && m != dkim.MethodPrivate {
			return wrong(index(i), "%q is no key look-up method", m)
		}
		if slices.Contains(methods[:i], m) {
			return wrong(index(i), "%q appears twice", m)
		}
	}
	return nil
}
