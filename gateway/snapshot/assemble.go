package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// ErrParts means that the parts of a snapshot do not belong together: one is missing, stale or not what the index says.
var ErrParts = errors.New("the parts of the snapshot do not belong together")

// Assemble puts the parts together. The error is an ErrParts that names the shard that is missing, stale or not what the index
// says.
//
// While a change is on its way two shards can hold two states of one policy. Each domain keeps the state that came with it:
// the newest has the policy's ID, an older one "ID@shard".
func Assemble(x *Index, shards []*Shard) (*Snapshot, error) {
	got := make(map[int]*Shard, len(shards))
	for _, s := range shards {
		if got[s.Number] != nil {
			return nil, fmt.Errorf("%w: shard %d came twice", ErrParts, s.Number)
		}
		got[s.Number] = s
	}
	var a assembly
	for _, ref := range x.Shards {
		s := got[ref.Number]
		if s == nil {
			return nil, fmt.Errorf("%w: shard %d is missing", ErrParts, ref.Number)
		}
		if err := ref.Accepts(s.Ref()); err != nil {
			return nil, err
		}
		a.shards = append(a.shards, s)
		delete(got, ref.Number)
	}
	for number := range got {
		return nil, fmt.Errorf("%w: the index names no shard %d", ErrParts, number)
	}
	return a.snapshot(x)
}

// Accepts says whether a state of the shard serves an index with this reference: it is the one that is named or a newer one.
// The error is an ErrParts.
func (r ShardRef) Accepts(s ShardRef) error {
	switch {
	case s.Number != r.Number:
		return fmt.Errorf("%w: shard %d in the place of shard %d", ErrParts, s.Number, r.Number)
	case s.Serial < r.Serial:
		return fmt.Errorf("%w: shard %d is stale: serial %d, the index names %d", ErrParts, r.Number, s.Serial, r.Serial)
	case s.Serial == r.Serial && s.SHA256 != r.SHA256:
		return fmt.Errorf("%w: shard %d of serial %d has another hash than the index names", ErrParts, r.Number, r.Serial)
	}
	return nil
}

// assembly joins shards. Parts are put in order before they are copied: there are many, and they are large.
type assembly struct {
	shards   []*Shard
	domains  []*Domain
	policies []*Policy
}

func (a *assembly) snapshot(x *Index) (*Snapshot, error) {
	// the newest first: its policies keep their IDs
	slices.SortStableFunc(a.shards, func(l, r *Shard) int {
		return cmp.Or(cmp.Compare(r.Serial, l.Serial), cmp.Compare(l.Number, r.Number))
	})
	where := make(map[string]int)
	policies := make(map[string]*Policy)
	for _, s := range a.shards {
		renamed := a.takePolicies(s, policies)
		for i := range s.Domains {
			d := &s.Domains[i]
			if other, taken := where[d.Name]; taken {
				return nil, fmt.Errorf("%w: domain %q is in shards %d and %d", ErrParts, d.Name, other, s.Number)
			}
			where[d.Name] = s.Number
			a.domains = append(a.domains, withRenamed(d, renamed))
		}
	}
	slices.SortFunc(a.domains, func(l, r *Domain) int { return cmp.Compare(l.Name, r.Name) })
	slices.SortFunc(a.policies, func(l, r *Policy) int { return cmp.Compare(l.ID, r.ID) })
	return &Snapshot{Format: x.Format, Gateway: x.Gateway, Domains: values(a.domains), Policies: values(a.policies)}, nil
}

// takePolicies adds the policies of a shard to those known by ID. It returns the new IDs of those that are known otherwise.
func (a *assembly) takePolicies(s *Shard, known map[string]*Policy) (renamed map[string]string) {
	for i := range s.Policies {
		p := &s.Policies[i]
		if other := known[p.ID]; other != nil {
			if reflect.DeepEqual(other, p) {
				*p = *other // one copy in memory: a policy of many domains is in as many shards
				continue
			}
			older := *p
			older.ID = fmt.Sprintf("%s@%03d", p.ID, s.Number)
			if renamed == nil {
				renamed = make(map[string]string)
			}
			renamed[p.ID] = older.ID
			p = &older
		}
		known[p.ID] = p
		a.policies = append(a.policies, p)
	}
	return renamed
}

// withRenamed leaves the shard's own domain as it is.
func withRenamed(d *Domain, renamed map[string]string) *Domain {
	if len(renamed) == 0 {
		return d
	}
	own := *d
	own.Policies = slices.Clone(d.Policies)
	for i, id := range own.Policies {
		if other, ok := renamed[id]; ok {
			own.Policies[i] = other
		}
	}
	return &own
}

func values[T any](list []*T) []T {
	if len(list) == 0 {
		return nil // as decoding leaves it
	}
	out := make([]T, len(list))
	for i, p := range list {
		out[i] = *p
	}
	return out
}
