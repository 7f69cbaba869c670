package compile

import (
	"cmp"
	"slices"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/snapshot"
)

// domainNames are the distinct domains of the namespace, whichever gateway answers for them.
func domainNames(domains []v1alpha1.FederatedDomain, namespace string) []string {
	var out []string
	for i := range domains {
		if d := &domains[i]; d.Namespace == namespace {
			if name, err := cua.Domain(string(d.Spec.Domain)); err == nil {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// shadowed warns of peer patterns that never decide. Among policies with the same pattern the more specific domain
// pattern decides, then Deny over Allow, then age, then name. Patterns that differ never hide one another: no number of
// narrower ones covers all names of a wider one.
func (c *compiler) shadowed(policies []policy, domains []string) {
	for i := range policies {
		p := &policies[i]
		at := c.report.at(p.meta, "spec").to("peers")
		for j, raw := range p.object.Spec.Peers {
			peer, ok := normalPattern(string(raw))
			if !ok {
				continue
			}
			if by := shadowOf(p, peer, policies, domains); by != nil {
				at.index(j).warn(v1alpha1.ReasonShadowed, "PeerPolicy %s always decides about %s instead: remove the entry, or make this policy more specific", by.compiled.ID, peer)
			}
		}
	}
}

// shadowOf returns a policy that decides about the peer pattern wherever p would; nil when p decides somewhere, or
// covers nothing at all.
func shadowOf(p *policy, peer string, policies []policy, domains []string) *policy {
	var by *policy
	for _, d := range domains {
		own := p.compiled.Coverage(d)
		if own < 0 {
			continue
		}
		i := slices.IndexFunc(policies, func(q policy) bool {
			return q.compiled.ID != p.compiled.ID && slices.Contains(q.compiled.Peers, peer) && beats(&q, p, q.compiled.Coverage(d), own)
		})
		if i < 0 {
			return nil
		}
		if by == nil {
			by = &policies[i]
		}
	}
	return by
}

// beats says whether a decides before b about the same peer pattern, given how closely they name a domain.
func beats(a, b *policy, coverA, coverB int) bool {
	if coverA < 0 {
		return false
	}
	return cmp.Or(
		cmp.Compare(coverB, coverA),
		cmp.Compare(denyFirst(a.compiled.Action), denyFirst(b.compiled.Action)),
		a.meta.created.Compare(b.meta.created),
		cmp.Compare(a.compiled.ID, b.compiled.ID),
	) < 0
}

func denyFirst(a snapshot.Action) int {
	if a == snapshot.Deny {
		return 0
	}
	return 1
}
