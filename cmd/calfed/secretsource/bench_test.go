package secretsource_test

import (
	"fmt"
	"testing"

	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// BenchmarkChange is how long a change of one domain of 50 000, with 10 000 policies, takes from the first write until it is served.
func BenchmarkChange(b *testing.B) {
	p := newPlane(b, kubetest.Shared(b))
	for i := range 50_000 {
		d, _ := p.domain(fmt.Sprintf("d%05d.example", i), 1)
		d.Policies = []string{fmt.Sprintf("tenant/p%05d", i%10_000)}
		number := snapshot.ShardOf(d.Name)
		s := p.shards[number]
		if s == nil {
			s = &snapshot.Shard{Number: number, Serial: 1}
			p.shards[number] = s
		}
		s.Domains = append(s.Domains, d)
		policy := snapshot.Policy{ID: d.Policies[0], Peers: []string{fmt.Sprintf("p%05d.example", i%10_000)}, Action: snapshot.Allow}
		known := false
		for _, have := range s.Policies {
			known = known || have.ID == policy.ID
		}
		if !known {
			s.Policies = append(s.Policies, policy)
		}
	}
	for number := range p.shards {
		p.writeShard(number)
	}
	p.writeIndex()
	pod := p.startPod(b.TempDir())
	pod.serves(&p.index)
	const changing = "d00007.example"
	number := snapshot.ShardOf(changing)
	encoded := p.index.Shards // encoding all anew is the manager's cost, which this is not about
	for b.Loop() {
		s := *p.shards[number]
		s.Serial = p.index.Serial + 1
		s.Domains = append([]snapshot.Domain{}, s.Domains...)
		for i := range s.Domains {
			if s.Domains[i].Name == changing {
				s.Domains[i].Source = fmt.Sprintf("tenant/%d", s.Serial)
			}
		}
		p.shards[number] = &s
		p.writeShard(number)
		for i := range encoded {
			if encoded[i].Number == number {
				encoded[i] = s.Ref()
			}
		}
		p.index.Serial++
		p.index.Shards = encoded
		raw, err := snapshot.EncodeIndex(&p.index)
		check(b, err)
		p.put(snapshot.IndexName(gatewayName), snapshot.IndexKey, raw)
		pod.serves(&p.index)
	}
}
