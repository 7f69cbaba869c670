package snapshot_test

import (
	"strings"
	"testing"

	"github.com/calfed/calfed/gateway/snapshot"
)

// What the snapshot before had need not be parsed again; what it had not is looked at as ever.
func TestNextRefusesWhatActivateRefuses(t *testing.T) {
	a := activate(t, valid(t))
	next, err := a.Next(valid(t))
	if err != nil {
		t.Fatal(err)
	}
	if next, err = next.Next(valid(t)); err != nil || len(next.Snapshot.Domains) != len(a.Snapshot.Domains) {
		t.Fatal(err)
	}
	secret := testTLS().key
	for place, change := range map[string]func(*snapshot.Snapshot){
		"domains[0].signing.keys[0].private": func(s *snapshot.Snapshot) { s.Domains[0].Signing.Keys[0].Private = secret[:40] },
		"domains[0].signing.keys[0].record": func(s *snapshot.Snapshot) {
			s.Domains[0].Signing.Keys[0].Private = s.Domains[0].Signing.Keys[1].Private // known, and another's
		},
		"policies[2].outbound.caBundle": func(s *snapshot.Snapshot) { s.Policies[2].Outbound.CABundle = secret },
		"policies[2].outbound.clientCertificate": func(s *snapshot.Snapshot) {
			s.Policies[2].Outbound.ClientCertificate.Key = s.Domains[0].Signing.Keys[0].Private
		},
		"domains[0].submitters[1].certificate.ca":    func(s *snapshot.Snapshot) { s.Domains[0].Submitters[1].Certificate.CA = []byte("x") },
		"domains[0].submitters[1].certificate.names": func(s *snapshot.Snapshot) { s.Domains[0].Submitters[1].Certificate.Names = nil },
	} {
		s := valid(t)
		change(s)
		if _, err := next.Next(s); err == nil || !strings.HasPrefix(err.Error(), place+":") {
			t.Errorf("%s: %v", place, err)
		}
	}
}

// Keys that are published and do not sign need no private half.
//
// Proves: IS-DKIM-11
func TestKeyStates(t *testing.T) {
	revoked := "v=DKIM1; k=ed25519; p="
	for _, tc := range []struct {
		name   string
		change func(d *snapshot.Domain)
		place  string // "" = valid
	}{
		{"a standby key", func(d *snapshot.Domain) {
			d.Signing.Keys[0].State, d.Signing.Keys[0].Private = snapshot.KeyStandby, nil
		}, ""},
		{"a revoked key", func(d *snapshot.Domain) {
			d.Signing.Keys[0].State, d.Signing.Keys[0].Private, d.Signing.Keys[0].Record = snapshot.KeyRevoked, nil, revoked
		}, ""},
		{"an active key without its private half", func(d *snapshot.Domain) { d.Signing.Keys[0].Private = nil }, "signing.keys[0].private"},
		{"an active key that is revoked", func(d *snapshot.Domain) { d.Signing.Keys[0].Record = revoked }, "signing.keys[0].record"},
		{"a standby key that is revoked", func(d *snapshot.Domain) {
			d.Signing.Keys[0].State, d.Signing.Keys[0].Record = snapshot.KeyStandby, revoked
		}, "signing.keys[0].record"},
		{"a revoked key that is not", func(d *snapshot.Domain) { d.Signing.Keys[0].State = snapshot.KeyRevoked }, "signing.keys[0].record"},
		{"a standby key without a record", func(d *snapshot.Domain) {
			d.Signing.Keys[0].State, d.Signing.Keys[0].Record = snapshot.KeyStandby, ""
		}, "signing.keys[0].record"},
		{"a state that is none", func(d *snapshot.Domain) { d.Signing.Keys[0].State = "Retired" }, "signing.keys[0].state"},
		{"mail, and no key that signs", func(d *snapshot.Domain) {
			d.Signing.Mail = true
			for i := range d.Signing.Keys {
				d.Signing.Keys[i].State = snapshot.KeyStandby
			}
		}, "signing.mail"},
	} {
		s := valid(t)
		s.Domains = s.Domains[:1]
		tc.change(&s.Domains[0])
		a, err := snapshot.Activate(s)
		switch {
		case tc.place == "" && err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case tc.place != "" && (err == nil || !strings.HasPrefix(err.Error(), "domains[0]."+tc.place+":")):
			t.Errorf("%s: %v", tc.name, err)
		case tc.place == "":
			if k, ok := a.Key("example.org", "one"); !ok || k.Record != s.Domains[0].Signing.Keys[0].Record || k.Signs() {
				t.Errorf("%s: %+v is published", tc.name, k)
			}
		}
	}
}
