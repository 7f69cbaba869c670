package netguard

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrIdentity means that a server did not prove who it is: its chain, its name or its key.
var ErrIdentity = errors.New("server identity not proven")

// verify does what crypto/tls would do, with the reference identities of IS-DISC-9: the chain leads to a root, is
// valid now and made for servers; one name matches; a pinned key is the key.
func (t TLS) verify(certs []*x509.Certificate, host string) error {
	if len(certs) == 0 {
		return fmt.Errorf("%w: no certificate", ErrIdentity)
	}
	leaf := certs[0]
	opts := x509.VerifyOptions{
		Roots:         t.Roots,
		Intermediates: x509.NewCertPool(),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, c := range certs[1:] {
		opts.Intermediates.AddCert(c)
	}
	chains, err := leaf.Verify(opts)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	if !t.named(leaf, chains, host) {
		return fmt.Errorf("%w: certificate is for %s", ErrIdentity, strings.Join(leaf.DNSNames, ", "))
	}
	if len(t.PinnedSPKI) > 0 {
		sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
		got := hex.EncodeToString(sum[:])
		if !slices.ContainsFunc(t.PinnedSPKI, func(pin string) bool { return strings.EqualFold(pin, got) }) {
			return fmt.Errorf("%w: key %s is not pinned", ErrIdentity, got)
		}
	}
	return nil
}

// named says whether the certificate carries one of the reference identities.
func (t TLS) named(leaf *x509.Certificate, chains [][]*x509.Certificate, host string) bool {
	if !t.OnlyNames && leaf.VerifyHostname(host) == nil {
		return true
	}
	var srvIDs []string
	if t.Service != "" && unconstrained(chains) {
		srvIDs = readSRVIDs(leaf)
	}
	for _, name := range t.Names {
		if leaf.VerifyHostname(name) == nil {
			return true
		}
		want := t.Service + "." + name
		if slices.ContainsFunc(srvIDs, func(id string) bool { return strings.EqualFold(id, want) }) {
			return true
		}
	}
	return false
}

// unconstrained says whether some chain holds no CA that is limited to certain names. crypto/x509 enforces such
// limits on DNS names, not on SRV-IDs: a CA limited to one organisation must not vouch for another by these.
func unconstrained(chains [][]*x509.Certificate) bool {
	return slices.ContainsFunc(chains, func(chain []*x509.Certificate) bool {
		return !slices.ContainsFunc(chain[1:], func(c *x509.Certificate) bool {
			return len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+len(c.PermittedURIDomains)+len(c.ExcludedURIDomains)+
				len(c.PermittedEmailAddresses)+len(c.ExcludedEmailAddresses)+len(c.PermittedIPRanges)+len(c.ExcludedIPRanges) > 0
		})
	})
}

// The object identifiers of a subject alternative name and of an SRV-ID in it (RFC 5280 §4.2.1.6, RFC 4985 §2).
var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidDNSSRV         = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 7}
)

// readSRVIDs returns the SRV-IDs of a certificate, "_service.name" as they stand; none when its alternative names
// cannot be read.
func readSRVIDs(c *x509.Certificate) []string {
	var out []string
	for _, ext := range c.Extensions {
		if !ext.Id.Equal(oidSubjectAltName) {
			continue
		}
		var names asn1.RawValue
		if rest, err := asn1.Unmarshal(ext.Value, &names); err != nil || len(rest) > 0 ||
			names.Class != asn1.ClassUniversal || names.Tag != asn1.TagSequence || !names.IsCompound {
			return nil
		}
		for rest := names.Bytes; len(rest) > 0; {
			var name asn1.RawValue
			var err error
			if rest, err = asn1.Unmarshal(rest, &name); err != nil {
				return nil
			}
			if id, ok := readSRVID(name); ok {
				out = append(out, id)
			}
		}
	}
	return out
}

// readSRVID reads one GeneralName: otherName [0] { type-id, value [0] EXPLICIT IA5String }.
func readSRVID(name asn1.RawValue) (string, bool) {
	if name.Class != asn1.ClassContextSpecific || name.Tag != 0 || !name.IsCompound {
		return "", false
	}
	var oid asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(name.Bytes, &oid)
	if err != nil || !oid.Equal(oidDNSSRV) {
		return "", false
	}
	// by hand: encoding/asn1 takes any kind of string where IA5String is asked for
	var value, id asn1.RawValue
	if rest, err = asn1.Unmarshal(rest, &value); err != nil || len(rest) > 0 ||
		value.Class != asn1.ClassContextSpecific || value.Tag != 0 || !value.IsCompound {
		return "", false
	}
	if rest, err = asn1.Unmarshal(value.Bytes, &id); err != nil || len(rest) > 0 ||
		id.Class != asn1.ClassUniversal || id.Tag != asn1.TagIA5String || id.IsCompound {
		return "", false
	}
	for _, c := range id.Bytes {
		if c > 127 {
			return "", false
		}
	}
	return string(id.Bytes), true
}
