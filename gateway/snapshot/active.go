package snapshot

// Active is a validated snapshot, indexed for serving. It is immutable.
type Active struct {
	Snapshot *Snapshot
	domains  map[string]*Domain
	policies map[string]*Policy
}

// Activate validates s as a whole: names, keys parse and match their records, certificates parse, references
// resolve. The error names the first problem by its place ("domains[3].signing.keys[0]: …").
func Activate(s *Snapshot) (*Active, error) { panic("CONTRACT STUB") }

// Domain returns the domain served here under this name (cua.Address.Domain form).
func (a *Active) Domain(name string) (*Domain, bool) { panic("CONTRACT STUB") }

// PoliciesFor returns the policies that cover a local domain, in the order of Domain.Policies.
func (a *Active) PoliciesFor(d *Domain) []*Policy { panic("CONTRACT STUB") }

// KnowsPeer says whether any policy at all would allow some message from this Originator domain, or the
// default action is Allow: the cheap gate before a key look-up (IS-RECV-1).
func (a *Active) KnowsPeer(peer string) bool { panic("CONTRACT STUB") }

// Key finds a published key of any domain here, for /.well-known/domainkey (IS-DKIM-11).
func (a *Active) Key(domain, selector string) (*Key, bool) { panic("CONTRACT STUB") }
