package snapshot

import (
	"math"
	"slices"
	"strings"

	"github.com/calfed/calfed/gateway/cua"
)

// Exactly is the specificity of a pattern that is the name itself.
const Exactly = math.MaxInt

// Specificity says how closely a domain pattern names a domain: -1 not at all, 0 for "*", the length of the suffix for
// "*.suffix" (the names below suffix, not suffix itself), Exactly for the name. No pattern names the empty domain, that
// of an address without a route.
func Specificity(pattern, name string) int {
	if name == "" {
		return -1
	}
	if pattern == "*" {
		return 0
	}
	if suffix, wild := strings.CutPrefix(pattern, "*."); wild {
		if len(name) > len(suffix) && cua.WithinDomain(name, suffix) {
			return len(suffix)
		}
		return -1
	}
	if pattern == name {
		return Exactly
	}
	return -1
}

// Widest are those of some domain patterns that no other one of them includes: each name matches one of them at most.
func Widest(patterns []string) []string {
	var out []string
	for _, p := range patterns {
		if !slices.ContainsFunc(patterns, func(q string) bool { return q != p && includes(q, p) }) {
			out = append(out, p)
		}
	}
	return out
}

// includes says whether pattern a names everything that pattern b names, and more.
func includes(a, b string) bool {
	return a == "*" || strings.HasPrefix(a, "*.") && Specificity(a, strings.TrimPrefix(b, "*.")) >= 0
}

// Coverage is how closely the policy's domain patterns name a local domain, by the closest of them; a policy without
// any covers every domain of its namespace, as "*" does.
func (p *Policy) Coverage(domain string) int {
	if len(p.Domains) == 0 {
		return 0
	}
	return closest(p.Domains, domain)
}

// Matches is how closely the policy's peer patterns name a peer's domain, by the closest of them.
func (p *Policy) Matches(peer string) int { return closest(p.Peers, peer) }

func closest(patterns []string, name string) int {
	best := -1
	for _, p := range patterns {
		best = max(best, Specificity(p, name))
	}
	return best
}

// parent is the name without its first label, "" at the end.
func parent(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return rest
}

// peerIndex finds the policies of one list by their peer patterns, without walking the list.
type peerIndex struct {
	all    []*Policy            // in the order of the list
	exact  map[string][]*Policy // by name
	suffix map[string][]*Policy // by the suffix of "*.suffix"
	any    []*Policy
}

func newPeerIndex(policies []*Policy) *peerIndex {
	x := &peerIndex{all: policies, exact: map[string][]*Policy{}, suffix: map[string][]*Policy{}}
	for _, p := range policies {
		for _, pattern := range p.Peers {
			suffix, wild := strings.CutPrefix(pattern, "*.")
			switch {
			case pattern == "*":
				x.any = append(x.any, p)
			case wild:
				x.suffix[suffix] = append(x.suffix[suffix], p)
			default:
				x.exact[pattern] = append(x.exact[pattern], p)
			}
		}
	}
	return x
}

// closest are the policies whose peer patterns name the peer most closely: all with the same pattern.
func (x *peerIndex) closest(peer string) []*Policy {
	if peer == "" {
		return nil
	}
	if found := x.exact[peer]; len(found) > 0 {
		return found
	}
	for name := parent(peer); name != ""; name = parent(name) {
		if found := x.suffix[name]; len(found) > 0 {
			return found
		}
	}
	return x.any
}
