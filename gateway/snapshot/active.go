package snapshot

import (
	"strings"
)

// Active is a validated snapshot, indexed for serving. It is immutable.
type Active struct {
	Snapshot *Snapshot
	domains  map[string]*Domain
	policies map[string]*Policy
	peers    map[string]*peerIndex // by domain; domains covered by the same policies share one
	allowed  *peerIndex            // the Allow policies that cover some domain
	keys     map[keyName]*Key
	found    *found
}

// keyName is what a key record is published under.
type keyName struct{ domain, selector string }

// Activate validates s as a whole: names, keys parse and match their records, certificates parse, references
// resolve. The error is an *Error that names the first problem by its place ("domains[3].signing.keys[0].record: …") and
// holds no secret. s must not be changed afterwards.
func Activate(s *Snapshot) (*Active, error) { return activate(s, newFound()) }

// Next activates the snapshot that follows on a. It is as Activate, only faster: keys and certificates that a has too are not
// parsed again.
func (a *Active) Next(s *Snapshot) (*Active, error) { return activate(s, a.found) }

func activate(s *Snapshot, before *found) (*Active, error) {
	memory := &memory{before: before, now: newFound()}
	if err := validate(s, memory); err != nil {
		return nil, err
	}
	a := &Active{
		Snapshot: s,
		domains:  make(map[string]*Domain, len(s.Domains)),
		policies: make(map[string]*Policy, len(s.Policies)),
		peers:    make(map[string]*peerIndex, len(s.Domains)),
		keys:     make(map[keyName]*Key),
		found:    memory.now,
	}
	for i := range s.Policies {
		a.policies[s.Policies[i].ID] = &s.Policies[i]
	}
	shared := make(map[string]*peerIndex)
	used := make(map[*Policy]bool)
	for i := range s.Domains {
		d := &s.Domains[i]
		a.domains[d.Name] = d
		for j := range d.Signing.Keys {
			k := &d.Signing.Keys[j]
			name := keyName{k.Domain, k.Selector}
			if a.keys[name] == nil || k.Domain == d.Name {
				a.keys[name] = k
			}
		}
		list := strings.Join(d.Policies, "\x00")
		if shared[list] == nil {
			policies := make([]*Policy, len(d.Policies))
			for j, id := range d.Policies {
				policies[j] = a.policies[id]
				used[policies[j]] = true
			}
			shared[list] = newPeerIndex(policies)
		}
		a.peers[d.Name] = shared[list]
	}
	var allow []*Policy
	for i := range s.Policies {
		if p := &s.Policies[i]; used[p] && p.Action == Allow {
			allow = append(allow, p)
		}
	}
	a.allowed = newPeerIndex(allow)
	return a, nil
}

// Domain returns the domain served here under this name (cua.Address.Domain form).
func (a *Active) Domain(name string) (*Domain, bool) {
	d, ok := a.domains[name]
	return d, ok
}

// PoliciesFor returns the policies that cover a local domain, in the order of Domain.Policies. The list is shared: it
// must not be changed.
func (a *Active) PoliciesFor(d *Domain) []*Policy {
	if x := a.peers[d.Name]; x != nil {
		return x.all
	}
	return nil
}

// ClosestPolicies returns those policies that cover a local domain and name the peer most closely: by its own name, else
// by the longest "*.suffix", else by "*". It allocates nothing; the list is shared and must not be changed.
func (a *Active) ClosestPolicies(d *Domain, peer string) []*Policy {
	if x := a.peers[d.Name]; x != nil {
		return x.closest(peer)
	}
	return nil
}

// KnowsPeer is the cheap gate before a key look-up (IS-RECV-1): whether the default action is Allow, or an Allow policy
// that covers some domain here has a peer pattern that matches this Originator domain. True promises nothing: another
// policy may still deny, domain by domain. The empty domain is never known.
func (a *Active) KnowsPeer(peer string) bool {
	return peer != "" && a.Snapshot.Gateway.DefaultAction == Allow || len(a.allowed.closest(peer)) > 0
}

// Key finds a published key of any domain here, for /.well-known/domainkey (IS-DKIM-11). Of two under one name, which strangers
// to each other may have brought, the one of the domain itself counts, then that of the first domain below it.
func (a *Active) Key(domain, selector string) (*Key, bool) {
	k, ok := a.keys[keyName{domain, selector}]
	return k, ok
}
