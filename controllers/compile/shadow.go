package compile

import (
	"cmp"
	"slices"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/snapshot"
)

// domainNames are the distinct domains of each namespace, sorted, whichever gateway answers for them.
func domainNames(domains []v1alpha1.FederatedDomain) map[string][]string {
	out := map[string][]string{}
	for i := range domains {
		d := &domains[i]
		if name, err := cua.Domain(string(d.Spec.Domain)); err == nil {
			out[d.Namespace] = append(out[d.Namespace], name)
		}
	}
	for namespace, names := range out {
		slices.Sort(names)
		out[namespace] = slices.Compact(names)
	}
	return out
}

// shadowed warns of peer patterns that never decide. Among policies with the same pattern the more specific domain
// pattern decides, then Deny over Allow, then age, then name. Patterns that differ never hide one another: no number of
// narrower ones covers all names of a wider one.
func (c *compiler) shadowed(domains []v1alpha1.FederatedDomain) {
	names := domainNames(domains)
	for namespace, space := range c.spaces {
		x := space.policies
		for i, outcome := range x.contest(names[namespace]) {
			p := &x.all[i]
			at := c.report.at(p.meta, "spec").to("peers")
			for j, raw := range p.object.Spec.Peers {
				peer, ok := normalPattern(string(raw))
				k := slices.Index(p.compiled.Peers, peer)
				if !ok || k < 0 || outcome.decides[k] || len(outcome.by[k]) == 0 {
					continue
				}
				at.index(j).warn(v1alpha1.ReasonShadowed, "PeerPolicy %s always decides about %s instead: remove the entry, or make this policy more specific", x.all[outcome.by[k][0]].compiled.ID, peer)
			}
		}
	}
}

// outcome is what became of a policy at some domains, for each of its peer patterns.
type outcome struct {
	decides []bool  // at one of the domains
	by      [][]int // the policies that decide in its place, in the order in which they were met
}

// shadows are the policies that decide in the place of one that decides nowhere; nil when it does, or covers none of the
// domains.
func (o *outcome) shadows() []int {
	var out []int
	for i := range o.by {
		if o.decides[i] {
			return nil
		}
		out = append(out, o.by[i]...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// contest lets all policies decide at domains. The result is parallel to x.all.
func (x *policyIndex) contest(domains []string) []outcome {
	out := make([]outcome, len(x.all))
	for i := range x.all {
		n := len(x.all[i].compiled.Peers)
		out[i] = outcome{make([]bool, n), make([][]int, n)}
	}
	metCommon := false
	for _, domain := range domains {
		places, common := x.covering(domain)
		if common && metCommon {
			continue // the same as before
		}
		metCommon = metCommon || common
		best := map[string]int{} // by peer pattern
		cover := make(map[int]int, len(places))
		for _, i := range places {
			p := &x.all[i]
			cover[i] = p.compiled.Coverage(domain)
			for _, peer := range p.compiled.Peers {
				if first, taken := best[peer]; !taken || beats(p, &x.all[first], cover[i], cover[first]) {
					best[peer] = i
				}
			}
		}
		for _, i := range places {
			for j, peer := range x.all[i].compiled.Peers {
				switch winner := best[peer]; {
				case winner == i:
					out[i].decides[j] = true
				case !slices.Contains(out[i].by[j], winner):
					out[i].by[j] = append(out[i].by[j], winner)
				}
			}
		}
	}
	return out
}

// beats says whether a decides before b about the same peer pattern, given how closely they name a domain.
func beats(a, b *policy, coverA, coverB int) bool {
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
