package controllers

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/snapshot"
)

// smallestShare is the part of a shard below which no namespace is pressed.
const smallestShare = 1. / 1024

// compilePart compiles and encodes a part as it would be written with the serial. Where all does not fit, the namespaces that take most of
// it have to make room: each but the gateway's own has a half, a quarter … of the shard, whatever it takes. What a tenant brings
// takes no place from who needs less.
func compilePart(settings *compile.Shared, gateway types.NamespacedName, in *partInput, serial uint64) (*part, error) {
	whole, err := compileWhole(settings, gateway, in, serial)
	if err != nil || !whole.tooLarge {
		return whole, err
	}
	sizes := sizesOf(&whole.shard)
	for share := .5; share >= smallestShare; share /= 2 {
		excess, total := sizes.excess(gateway.Namespace, share)
		if len(excess) == 0 || total > 1 && share > smallestShare { // sizes are of each alone: together they may pack better
			continue
		}
		in.Excess = excess
		p, err := compileWhole(settings, gateway, in, serial)
		if err != nil || !p.tooLarge {
			return p, err
		}
	}
	return whole, nil // the gateway's own domains are too large
}

// sizes are those of the domains of a shard, by namespace, the smallest first, and of its policies by ID.
type sizes struct {
	domains  map[string][]sized
	policies map[string]float64
}

type sized struct {
	*snapshot.Domain
	size float64
}

func sizesOf(sh *snapshot.Shard) sizes {
	out := sizes{map[string][]sized{}, make(map[string]float64, len(sh.Policies))}
	for i := range sh.Policies {
		out.policies[sh.Policies[i].ID] = snapshot.Size(&sh.Policies[i])
	}
	for i := range sh.Domains {
		d := sized{&sh.Domains[i], snapshot.Size(&sh.Domains[i])}
		namespace, _, _ := strings.Cut(d.Source, "/")
		out.domains[namespace] = append(out.domains[namespace], d)
	}
	for _, list := range out.domains {
		slices.SortFunc(list, func(a, b sized) int {
			return cmp.Or(cmp.Compare(out.with(a, nil), out.with(b, nil)), cmp.Compare(a.Name, b.Name))
		})
	}
	return out
}

// with is what a domain takes with the policies that are not there yet.
func (s *sizes) with(d sized, there map[string]bool) float64 {
	total := d.size
	for _, id := range d.Policies {
		if !there[id] {
			total += s.policies[id]
		}
	}
	return total
}

// excess are the FederatedDomains, by namespace/name, that make a namespace other than home take more than the share; total is what the
// others take.
func (s *sizes) excess(home string, share float64) (excess map[string]bool, total float64) {
	excess = map[string]bool{}
	for namespace, list := range s.domains {
		used, there := 0., map[string]bool{}
		for _, d := range list {
			more := s.with(d, there)
			if namespace != home && used+more > share {
				excess[d.Source] = true
				continue
			}
			used += more
			for _, id := range d.Policies {
				there[id] = true
			}
		}
		total += used
	}
	return excess, total
}
