package gateway_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/snapshot"
)

// BenchmarkApply is what a change of one domain costs a gateway of 50 000 domains, and what the first snapshot of that size does.
func BenchmarkApply(b *testing.B) {
	many := manyDomains(b, 50_000, 10_000)
	b.Run("everything", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			gw := gateway.New(gateway.Options{Log: slog.New(slog.DiscardHandler)})
			if err := gw.Apply(many); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one domain", func(b *testing.B) {
		gw := gateway.New(gateway.Options{})
		if err := gw.Apply(many); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			changed := *many
			changed.Domains = slices.Clone(many.Domains)
			changed.Domains[7].Signing.Keys = []snapshot.Key{ed25519Key(b, changed.Domains[7].Name, uint32(1_000_000+i))}
			if err := gw.Apply(&changed); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// manyDomains have a key each, a calendar server for ten of them, and policies that cover five each.
func manyDomains(tb testing.TB, domains, policies int) *snapshot.Snapshot {
	s := newSite(tb, nil).snap
	s.Domains, s.Policies = nil, nil
	for i := range domains {
		name := fmt.Sprintf("d%05d.example", i)
		s.Domains = append(s.Domains, snapshot.Domain{
			Name: name, Source: "tenant/" + name,
			Signing: snapshot.Signing{Keys: []snapshot.Key{ed25519Key(tb, name, uint32(i))}},
			Backend: snapshot.Backend{Type: snapshot.BackendCalDAV, CalDAV: &snapshot.CalDAV{
				URL: fmt.Sprintf("https://c%d.example.org/dav/", i/10), Profile: snapshot.ProfileCyrus, Username: "calfed", Password: "password",
			}},
			Submitters: []snapshot.Submitter{{Name: "calendar", TokenSHA256: make([]byte, 32)}},
			Policies:   []string{fmt.Sprintf("tenant/p%05d", i%policies)},
		})
	}
	for i := range policies {
		s.Policies = append(s.Policies, snapshot.Policy{
			ID: fmt.Sprintf("tenant/p%05d", i), Peers: []string{fmt.Sprintf("p%05d.example", i)}, Action: snapshot.Allow,
		})
	}
	return s
}

func ed25519Key(tb testing.TB, domain string, n uint32) snapshot.Key {
	tb.Helper()
	seed := make([]byte, ed25519.SeedSize)
	binary.BigEndian.PutUint32(seed, n)
	private := ed25519.NewKeyFromSeed(seed)
	pem, err := dkim.MarshalPrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	record, err := dkim.FormatRecord(private.Public(), false)
	if err != nil {
		tb.Fatal(err)
	}
	return snapshot.Key{Source: "tenant/key", Domain: domain, Selector: "cal", Private: pem, Record: record}
}
