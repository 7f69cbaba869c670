package compile

import (
	"slices"
	"strings"

	"github.com/calfed/calfed/gateway/snapshot"
)

// policyIndex finds the policies of a namespace that cover a domain, without walking all.
type policyIndex struct {
	all    []policy         // in the order of their IDs; what follows are places in it
	every  []int            // that cover every domain
	exact  map[string][]int // by name
	suffix map[string][]int // by the suffix of "*.suffix"
	ids    []string         // of every, shared by all domains that no other policy covers
}

func newPolicyIndex(all []policy) *policyIndex {
	x := &policyIndex{all: all, exact: map[string][]int{}, suffix: map[string][]int{}}
	for i := range all {
		patterns := all[i].compiled.Domains
		if len(patterns) == 0 || slices.Contains(patterns, "*") {
			x.every = append(x.every, i)
			x.ids = append(x.ids, all[i].compiled.ID)
		}
		for _, p := range patterns {
			if suffix, wild := strings.CutPrefix(p, "*."); wild {
				x.suffix[suffix] = append(x.suffix[suffix], i)
			} else if p != "*" {
				x.exact[p] = append(x.exact[p], i)
			}
		}
	}
	return x
}

// maxCovering bounds the policies that cover one domain: what they cost is that number times the number of domains.
const maxCovering = 500

// crowded says whether more policies cover a domain than may. It walks no further than it must.
func (x *policyIndex) crowded(domain string) bool {
	seen := map[int]bool{}
	lists := [][]int{x.every, x.exact[domain]}
	for _, rest, _ := strings.Cut(domain, "."); rest != ""; _, rest, _ = strings.Cut(rest, ".") {
		lists = append(lists, x.suffix[rest])
	}
	for _, list := range lists {
		for _, place := range list {
			if seen[place] = true; len(seen) > maxCovering {
				return true
			}
		}
	}
	return false
}

// covering are the places of the policies that cover a domain, in order; common says that they are all those of every, and no
// others: the same for many domains.
func (x *policyIndex) covering(domain string) (places []int, common bool) {
	found := x.exact[domain]
	for rest := domain; rest != ""; {
		_, rest, _ = strings.Cut(rest, ".")
		found = append(slices.Clip(found), x.suffix[rest]...)
	}
	if len(found) == 0 {
		return x.every, true
	}
	found = slices.Concat(found, x.every)
	slices.Sort(found)
	return slices.Compact(found), false
}

// attach notes at each of the namespace's domains the policies that cover it, and in out what became of these.
func (c *compiler) attach(domains []*snapshot.Domain, out *Part) {
	x := c.policies
	if len(x.all) == 0 {
		return
	}
	if out.Covers == nil {
		out.Covers, out.ShadowedBy = map[string][]string{}, map[string][]string{}
	}
	covers := make([][]string, len(x.all))
	names := make([]string, len(domains))
	for i, d := range domains { // sorted by name
		names[i] = d.Name
		places, common := x.covering(d.Name)
		d.Policies = x.ids
		if !common {
			d.Policies = make([]string, len(places))
			for j, place := range places {
				d.Policies[j] = x.all[place].compiled.ID
			}
		}
		for _, place := range places {
			covers[place] = append(covers[place], d.Name)
			c.warnOfProfile(&x.all[place], d)
		}
	}
	contest := x.contest(names)
	for i := range x.all {
		if len(covers[i]) == 0 {
			continue
		}
		id := x.all[i].compiled.ID
		out.Policies = append(out.Policies, x.all[i].compiled)
		out.Covers[id] = covers[i]
		if by := contest[i].shadows(); by != nil {
			for _, place := range by {
				out.ShadowedBy[id] = append(out.ShadowedBy[id], x.all[place].compiled.ID)
			}
		}
	}
}
