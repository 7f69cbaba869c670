package snapshot_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"slices"
	"testing"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The largest gateway that is planned for.
const (
	manyDomains  = 50_000
	manyPolicies = 10_000
)

// large makes the parts of a gateway with that many domains, each with an Ed25519 key of its own and a back end that ten share,
// and policies that cover five domains of different shards each.
func large(tb testing.TB, domains, policies int) (*snapshot.Index, []*snapshot.Shard) {
	tb.Helper()
	shards := make([]*snapshot.Shard, snapshot.Shards)
	for i := range shards {
		shards[i] = &snapshot.Shard{Format: snapshot.FormatVersion, Number: i, Serial: 1}
	}
	seed := make([]byte, ed25519.SeedSize)
	for i := range domains {
		name := fmt.Sprintf("d%05d.example", i)
		binary.BigEndian.PutUint32(seed, uint32(i))
		private := ed25519.NewKeyFromSeed(seed)
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			tb.Fatal(err)
		}
		record, err := dkim.FormatRecord(private.Public(), false)
		if err != nil {
			tb.Fatal(err)
		}
		policy := snapshot.Policy{
			ID: fmt.Sprintf("tenant/p%05d", i%policies), Peers: []string{fmt.Sprintf("p%05d.example", i%policies), "*.partners.example"},
			Domains: []string{"*.example"}, Action: snapshot.Allow, Inbound: snapshot.Inbound{Rate: 5, FreeBusy: snapshot.FreeBusyFull},
		}
		s := shards[snapshot.ShardOf(name)]
		s.Domains = append(s.Domains, snapshot.Domain{
			Name: name, Source: "tenant/" + name,
			Signing: snapshot.Signing{Keys: []snapshot.Key{{
				Source: "tenant/k", Domain: name, Selector: "cal", Record: record,
				Private: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
			}}, Lookup: []string{dkim.MethodDNS}},
			Backend: snapshot.Backend{Type: snapshot.BackendCalDAV, CalDAV: &snapshot.CalDAV{
				URL: fmt.Sprintf("https://c%d.example.org/dav/", i/10), Profile: snapshot.ProfileCyrus, Username: "calfed", Password: "password",
			}},
			Submitters: []snapshot.Submitter{{Name: "calendar", TokenSHA256: make([]byte, 32)}},
			Policies:   []string{policy.ID},
		})
		if !slices.ContainsFunc(s.Policies, func(p snapshot.Policy) bool { return p.ID == policy.ID }) {
			s.Policies = append(s.Policies, policy)
		}
	}
	x := &snapshot.Index{Format: snapshot.FormatVersion, Serial: 1, Gateway: valid(tb).Gateway}
	for _, s := range shards {
		if _, err := snapshot.EncodeShard(s); err != nil {
			tb.Fatal(err)
		}
		x.Shards = append(x.Shards, s.Ref())
	}
	return x, shards
}

// BenchmarkApplyEverything is what applying everything costs: the first snapshot.
func BenchmarkApplyEverything(b *testing.B) {
	x, shards := large(b, manyDomains, manyPolicies)
	b.ReportAllocs()
	for b.Loop() {
		s, err := snapshot.Assemble(x, shards)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := snapshot.Activate(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAssemble(b *testing.B) {
	x, shards := large(b, manyDomains, manyPolicies)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := snapshot.Assemble(x, shards); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkApplyOneShard is what a change of one shard costs.
func BenchmarkApplyOneShard(b *testing.B) {
	x, shards := large(b, manyDomains, manyPolicies)
	s, err := snapshot.Assemble(x, shards)
	if err != nil {
		b.Fatal(err)
	}
	active := activate(b, s)
	b.ReportAllocs()
	for b.Loop() {
		changed := *shards[7]
		changed.Domains = slices.Clone(changed.Domains)
		changed.Domains[0].Signing.Keys = []snapshot.Key{key(b, changed.Domains[0].Name, "cal", byte(x.Serial))}
		x.Serial++
		changed.Serial = x.Serial
		body, err := snapshot.EncodeShard(&changed)
		if err != nil {
			b.Fatal(err)
		}
		if shards[7], err = snapshot.DecodeShard(body); err != nil {
			b.Fatal(err)
		}
		x.Shards[7] = changed.Ref()
		if s, err = snapshot.Assemble(x, shards); err != nil {
			b.Fatal(err)
		}
		if active, err = active.Next(s); err != nil {
			b.Fatal(err)
		}
	}
}
