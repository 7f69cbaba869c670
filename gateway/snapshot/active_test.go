package snapshot_test

import (
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

func activate(t testing.TB, s *snapshot.Snapshot) *snapshot.Active {
	t.Helper()
	a, err := snapshot.Activate(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestActivateIndexes(t *testing.T) {
	s := valid(t)
	a := activate(t, s)
	if d, ok := a.Domain("example.org"); !ok || d != &s.Domains[0] {
		t.Errorf("%+v, %v", d, ok)
	}
	for _, name := range []string{"", "org", "EXAMPLE.org", "example.org.", "www.example.org"} {
		if d, ok := a.Domain(name); ok {
			t.Errorf("%q is served by %s", name, d.Name)
		}
	}
	if diff := cmp.Diff([]string{"default/deny", "default/friends"}, ids(a.PoliciesFor(&s.Domains[0]))); diff != "" {
		t.Error(diff)
	}
	if got := a.PoliciesFor(&snapshot.Domain{Name: "elsewhere.example"}); got != nil {
		t.Errorf("%v", ids(got))
	}
}

// Proves: IS-DKIM-11
func TestPublishedKeys(t *testing.T) {
	a := activate(t, valid(t))
	for _, tc := range []struct {
		domain, selector string
		want             bool
	}{
		{"example.org", "one", true},
		{"example.org", "two", true},
		{"example.org", "three", false},
		{"sub.example.org", "one", false}, // signed for by its parent's key
		{"", "", false},
	} {
		k, ok := a.Key(tc.domain, tc.selector)
		if ok != tc.want || ok && (k.Selector != tc.selector || k.Domain != tc.domain) {
			t.Errorf("%s of %s: %+v, %v", tc.selector, tc.domain, k, ok)
		}
	}
}

// Strangers to each other may bring keys under one name: that poisons nothing, and the domain itself has its own served.
func TestOfTwoKeysUnderOneNameTheDomainsOwnIsServed(t *testing.T) {
	t.Parallel()
	for name, domains := range map[string][]string{
		"the domain before one below":  {"example.org", "team.example.org"},
		"one that sorts before it":     {"a.example.org", "example.org"},
		"the first of two below":       {"a.example.org", "b.example.org"},
		"the domain between two below": {"a.example.org", "example.org", "team.example.org"},
	} {
		s := valid(t)
		s.Domains = s.Domains[:0]
		var want snapshot.Key
		for i, domain := range domains {
			k := key(t, "example.org", "cal", byte(i))
			if i == 0 || domain == "example.org" {
				want = k
			}
			s.Domains = append(s.Domains, snapshot.Domain{
				Name: domain, Source: "default/" + domain, Signing: snapshot.Signing{Keys: []snapshot.Key{k}},
				Backend: snapshot.Backend{Type: snapshot.BackendMemory},
			})
		}
		got, ok := activate(t, s).Key("example.org", "cal")
		if !ok || got.Record != want.Record {
			t.Errorf("%s: %v, want that of %s", name, got, want.Record)
		}
	}
}

// Proves: IS-RECV-1
func TestKnowsPeer(t *testing.T) {
	s := valid(t)
	a := activate(t, s)
	for peer, want := range map[string]bool{
		"friend.example":       true,
		"cal.friend.example":   true,
		"badfriend.example":    false,
		"a.partners.example":   true,
		"a.b.partners.example": true,
		"partners.example":     false,
		"enemy.example":        false, // named by a Deny policy only
		"stranger.example":     false, // named by a policy that covers no domain
		"":                     false,
	} {
		if got := a.KnowsPeer(peer); got != want {
			t.Errorf("KnowsPeer(%q) = %v", peer, got)
		}
	}
	s = valid(t)
	s.Gateway.DefaultAction = snapshot.Allow
	a = activate(t, s)
	if !a.KnowsPeer("stranger.example") || a.KnowsPeer("") {
		t.Error("the default action Allow lets every domain come as far as its signature")
	}
}

func ids(policies []*snapshot.Policy) (out []string) {
	for _, p := range policies {
		out = append(out, p.ID)
	}
	return out
}

func TestClosestPolicies(t *testing.T) {
	s := valid(t)
	s.Domains[0].Policies = []string{"a", "b", "c", "d", "e"}
	s.Policies = append(s.Policies,
		snapshot.Policy{ID: "a", Peers: []string{"*"}, Action: snapshot.Allow},
		snapshot.Policy{ID: "b", Peers: []string{"*.example"}, Action: snapshot.Allow},
		snapshot.Policy{ID: "c", Peers: []string{"*.cal.example", "cal.example"}, Action: snapshot.Deny},
		snapshot.Policy{ID: "d", Peers: []string{"cal.example"}, Action: snapshot.Allow},
		snapshot.Policy{ID: "e", Peers: []string{"*.example", "*"}, Action: snapshot.Allow},
	)
	a := activate(t, s)
	for peer, want := range map[string][]string{
		"cal.example":     {"c", "d"},
		"x.cal.example":   {"c"},
		"x.y.cal.example": {"c"},
		"other.example":   {"b", "e"},
		"example":         {"a", "e"},
		"elsewhere.test":  {"a", "e"},
		"":                nil,
	} {
		if diff := cmp.Diff(want, ids(a.ClosestPolicies(&s.Domains[0], peer))); diff != "" {
			t.Errorf("%s: %s", peer, diff)
		}
	}
	if n := testing.AllocsPerRun(100, func() { a.ClosestPolicies(&s.Domains[0], "x.y.cal.example") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestActivateNamesTheFirstProblem(t *testing.T) {
	secret := testTLS().key
	for _, tc := range []struct {
		place  string
		change func(*snapshot.Snapshot)
	}{
		{"format", func(s *snapshot.Snapshot) { s.Format = 0 }},
		{"format", func(s *snapshot.Snapshot) { s.Format = snapshot.FormatVersion + 2 }},
		{"gateway.name", func(s *snapshot.Snapshot) { s.Gateway.Name = "" }},
		{"gateway.host", func(s *snapshot.Snapshot) { s.Gateway.Host = "GW.example.org" }},
		{"gateway.host", func(s *snapshot.Snapshot) { s.Gateway.Host = "192.0.2.1" }},
		{"gateway.tls", func(s *snapshot.Snapshot) { s.Gateway.TLS.Certificate = nil }},
		{"gateway.tls", func(s *snapshot.Snapshot) { s.Gateway.TLS.Key = s.Domains[0].Signing.Keys[0].Private }},
		{"gateway.defaultAction", func(s *snapshot.Snapshot) { s.Gateway.DefaultAction = "" }},
		{"gateway.capabilities.serial", func(s *snapshot.Snapshot) { s.Gateway.Capabilities.Serial = 0 }},
		{"gateway.capabilities.versions", func(s *snapshot.Snapshot) { s.Gateway.Capabilities.Versions = []string{"2.0"} }},
		{"gateway.capabilities.messages", func(s *snapshot.Snapshot) { s.Gateway.Capabilities.Messages = nil }},
		{"gateway.capabilities.messages[1].methods", func(s *snapshot.Snapshot) { s.Gateway.Capabilities.Messages[1].Methods = nil }},
		{"gateway.capabilities.messages[0].methods", func(s *snapshot.Snapshot) { s.Gateway.Capabilities.Messages[0].Methods[1] = "PUBLISH" }},
		{"gateway.capabilities.messages[0].methods[1]", func(s *snapshot.Snapshot) { s.Gateway.Capabilities.Messages[0].Methods[1] = "reply" }},
		{"gateway.capabilities.messages[0].component", func(s *snapshot.Snapshot) { s.Gateway.Capabilities.Messages[0].Name = "" }},
		{"gateway.capabilities.dataTypes", func(s *snapshot.Snapshot) { s.Gateway.Capabilities.DataTypes = []ischedule.DataType{{}} }},
		{"gateway.capabilities.maxContentLength", func(s *snapshot.Snapshot) { s.Gateway.Capabilities.MaxContentLength = 0 }},
		{"gateway.capabilities.maxInstances", func(s *snapshot.Snapshot) { s.Gateway.Capabilities.MaxInstances = -1 }},
		{"gateway.capabilities.maxRecipients", func(s *snapshot.Snapshot) { s.Gateway.Capabilities.MaxRecipients = 0 }},
		{"gateway.capabilities.minDateTime", func(s *snapshot.Snapshot) {
			s.Gateway.Capabilities.MinDateTime = s.Gateway.Capabilities.MinDateTime.AddDate(-1969, 0, 0)
		}},
		{"gateway.capabilities.maxDateTime", func(s *snapshot.Snapshot) {
			s.Gateway.Capabilities.MaxDateTime = s.Gateway.Capabilities.MinDateTime
		}},
		{"gateway.capabilities.administrator", func(s *snapshot.Snapshot) { s.Gateway.Capabilities.Administrator = "" }},
		{"gateway.egress.backendCIDRs[1]", func(s *snapshot.Snapshot) {
			s.Gateway.Egress.BackendCIDRs = append(s.Gateway.Egress.BackendCIDRs, netip.Prefix{})
		}},
		{"gateway.egress.peerCIDRs[0]", func(s *snapshot.Snapshot) { s.Gateway.Egress.PeerCIDRs[0] = netip.Prefix{} }},
		{"gateway.egress.resolver", func(s *snapshot.Snapshot) { s.Gateway.Egress.Resolver = "127.0.0.1" }},
		{"gateway.egress.caBundle", func(s *snapshot.Snapshot) { s.Gateway.Egress.CABundle = []byte("x") }},
		{"gateway.egress.caBundle", func(s *snapshot.Snapshot) { s.Gateway.Egress.CABundle = secret }},
		{"gateway.limits.maxConnections", func(s *snapshot.Snapshot) { s.Gateway.Limits.MaxConnections = 0 }},
		{"gateway.limits.keyLookups", func(s *snapshot.Snapshot) { s.Gateway.Limits.KeyLookups = math.NaN() }},
		{"gateway.limits.requestsPerSource", func(s *snapshot.Snapshot) { s.Gateway.Limits.RequestsPerSource = math.Inf(1) }},
		{"gateway.limits.deliveryTimeout", func(s *snapshot.Snapshot) { s.Gateway.Limits.DeliveryTimeout = -1 }},
		{"domains[1].name", func(s *snapshot.Snapshot) { s.Domains[1].Name = "example.org" }},
		{"domains[0].name", func(s *snapshot.Snapshot) { s.Domains[0].Name = "bücher.example" }},
		{"domains[0].signing.keys[0].private", func(s *snapshot.Snapshot) { s.Domains[0].Signing.Keys[0].Private = secret[:40] }},
		{"domains[0].signing.keys[1].record", func(s *snapshot.Snapshot) {
			s.Domains[0].Signing.Keys[1].Record = s.Domains[0].Signing.Keys[0].Record
		}},
		{"domains[0].signing.keys[0].record", func(s *snapshot.Snapshot) { s.Domains[0].Signing.Keys[0].Record = "v=DKIM1; k=ed25519; p=" }},
		{"domains[0].signing.keys[0].record", func(s *snapshot.Snapshot) { s.Domains[0].Signing.Keys[0].Record = "nonsense" }},
		{"domains[0].signing.keys[0].domain", func(s *snapshot.Snapshot) { s.Domains[0].Signing.Keys[0].Domain = "sub.example.org" }},
		{"domains[0].signing.keys[0].domain", func(s *snapshot.Snapshot) { s.Domains[0].Signing.Keys[0].Domain = "" }},
		{"domains[0].signing.keys[0].selector", func(s *snapshot.Snapshot) { s.Domains[0].Signing.Keys[0].Selector = "../one" }},
		{"domains[0].signing.keys[1].selector", func(s *snapshot.Snapshot) { s.Domains[0].Signing.Keys[1].Selector = "one" }},
		{"domains[0].signing.lookup[1]", func(s *snapshot.Snapshot) { s.Domains[0].Signing.Lookup[1] = s.Domains[0].Signing.Lookup[0] }},
		{"domains[0].signing.lookup[0]", func(s *snapshot.Snapshot) { s.Domains[0].Signing.Lookup[0] = "ldap" }},
		{"domains[0].signing.lifetime", func(s *snapshot.Snapshot) { s.Domains[0].Signing.Lifetime = -1 }},
		{"domains[0].backend.iSchedule", func(s *snapshot.Snapshot) { s.Domains[0].Backend.Type = snapshot.BackendCalDAV }},
		{"domains[1].backend.type", func(s *snapshot.Snapshot) { s.Domains[1].Backend.Type = "Graph" }},
		{"domains[0].backend.iSchedule", func(s *snapshot.Snapshot) { s.Domains[0].Backend.ISchedule = nil }},
		{"domains[1].backend.iSchedule", func(s *snapshot.Snapshot) { s.Domains[1].Backend.ISchedule = &snapshot.ISchedule{} }},
		{"domains[0].backend.iSchedule.url", func(s *snapshot.Snapshot) { s.Domains[0].Backend.ISchedule.URL = "/ischedule" }},
		{"domains[0].backend.iSchedule.url", func(s *snapshot.Snapshot) { s.Domains[0].Backend.ISchedule.URL = "file:///x" }},
		{"domains[0].backend.iSchedule.url", func(s *snapshot.Snapshot) { s.Domains[0].Backend.ISchedule.URL = "http://u:hunter2@h/" }},
		{"domains[0].accepts[0].component", func(s *snapshot.Snapshot) { s.Domains[0].Accepts[0].Component = "vevent" }},
		{"domains[0].submitters[1].name", func(s *snapshot.Snapshot) { s.Domains[0].Submitters[1].Name = "calendar" }},
		{"domains[0].submitters[0]", func(s *snapshot.Snapshot) { s.Domains[0].Submitters[0].TokenSHA256 = nil }},
		{"domains[0].submitters[0].tokenSHA256", func(s *snapshot.Snapshot) { s.Domains[0].Submitters[0].TokenSHA256 = []byte("token") }},
		{"domains[0].submitters[1]", func(s *snapshot.Snapshot) { s.Domains[0].Submitters[1].TokenSHA256 = make([]byte, 32) }},
		{"domains[0].submitters[1].certificate.ca", func(s *snapshot.Snapshot) { s.Domains[0].Submitters[1].Certificate.CA = nil }},
		{"domains[0].submitters[1].certificate.names", func(s *snapshot.Snapshot) { s.Domains[0].Submitters[1].Certificate.Names = nil }},
		{"domains[0].submitters[1].certificate.names", func(s *snapshot.Snapshot) { s.Domains[0].Submitters[1].Certificate.Names = []string{""} }},
		{"domains[0].policies[1]", func(s *snapshot.Snapshot) { s.Domains[0].Policies[1] = "default/nothing" }},
		{"domains[0].policies[1]", func(s *snapshot.Snapshot) { s.Domains[0].Policies[1] = "default/deny" }},
		{"domains[0].policies[0]", func(s *snapshot.Snapshot) { s.Domains[0].Policies[0] = "default/everybody" }}, // covers *.example.org only
		{"policies[1].id", func(s *snapshot.Snapshot) { s.Policies[1].ID = "default/deny" }},
		{"policies[0].id", func(s *snapshot.Snapshot) { s.Policies[0].ID = "" }},
		{"policies[0].action", func(s *snapshot.Snapshot) { s.Policies[0].Action = "deny" }},
		{"policies[0].peers", func(s *snapshot.Snapshot) { s.Policies[0].Peers = nil }},
		{"policies[0].peers[1]", func(s *snapshot.Snapshot) { s.Policies[0].Peers[1] = "*enemy.example" }},
		{"policies[0].peers[1]", func(s *snapshot.Snapshot) { s.Policies[0].Peers[1] = "*.*" }},
		{"policies[0].peers[0]", func(s *snapshot.Snapshot) { s.Policies[0].Peers[0] = "Enemy.example" }},
		{"policies[1].domains[0]", func(s *snapshot.Snapshot) { s.Policies[1].Domains[0] = "*." }},
		{"policies[2].inbound.messages[0].methods[0]", func(s *snapshot.Snapshot) { s.Policies[2].Inbound.Messages[0].Methods[0] = "" }},
		{"policies[2].inbound.rate", func(s *snapshot.Snapshot) { s.Policies[2].Inbound.Rate = -1 }},
		{"policies[2].inbound.maxRecipients", func(s *snapshot.Snapshot) { s.Policies[2].Inbound.MaxRecipients = -1 }},
		{"policies[2].inbound.minRSABits", func(s *snapshot.Snapshot) { s.Policies[2].Inbound.MinRSABits = 512 }},
		{"policies[2].inbound.keyLookup[0]", func(s *snapshot.Snapshot) { s.Policies[2].Inbound.KeyLookup[0] = "" }},
		{"policies[2].inbound.pinnedKeys[0].domain", func(s *snapshot.Snapshot) { s.Policies[2].Inbound.PinnedKeys[0].Domain = "*" }},
		{"policies[2].inbound.pinnedKeys[0].selector", func(s *snapshot.Snapshot) { s.Policies[2].Inbound.PinnedKeys[0].Selector = "" }},
		{"policies[2].inbound.pinnedKeys[0].record", func(s *snapshot.Snapshot) { s.Policies[2].Inbound.PinnedKeys[0].Record = "v=DKIM1; p=" }},
		{"policies[2].inbound.pinnedKeys[0].record", func(s *snapshot.Snapshot) { s.Policies[2].Inbound.PinnedKeys[0].Record = "p=!" }},
		{"policies[2].inbound.maxAge", func(s *snapshot.Snapshot) { s.Policies[2].Inbound.MaxAge = -1 }},
		{"policies[2].inbound.thirdPartySigners[0]", func(s *snapshot.Snapshot) { s.Policies[2].Inbound.ThirdPartySigners[0] = "*" }},
		{"policies[2].inbound.freeBusy", func(s *snapshot.Snapshot) { s.Policies[2].Inbound.FreeBusy = "Some" }},
		{"policies[2].outbound.endpoint", func(s *snapshot.Snapshot) { s.Policies[2].Outbound.Endpoint = "http://cal.friend.example/" }},
		{"policies[2].outbound.caBundle", func(s *snapshot.Snapshot) {
			s.Policies[2].Outbound.CABundle = []byte("-----BEGIN CERTIFICATE-----\naGk=\n-----END CERTIFICATE-----\n")
		}},
		{"policies[2].outbound.certificateSHA256[0]", func(s *snapshot.Snapshot) { s.Policies[2].Outbound.CertificateSHA256[0] = "00" }},
		{"policies[2].outbound.clientCertificate", func(s *snapshot.Snapshot) {
			s.Policies[2].Outbound.ClientCertificate = &snapshot.KeyPair{Key: secret}
		}},
		{"policies[2].outbound.authorization", func(s *snapshot.Snapshot) { s.Policies[2].Outbound.Authorization = "Bearer hunter2\r\nX: y" }},
		{"policies[2].outbound.requireSecureIdentity", func(s *snapshot.Snapshot) { s.Policies[2].Outbound.RequireSecureIdentity = "Yes" }},
		{"policies[2].outbound.timeout", func(s *snapshot.Snapshot) { s.Policies[2].Outbound.Timeout = -1 }},
	} {
		refused(t, tc.place, tc.change)
	}
	if _, err := snapshot.Activate(nil); err == nil {
		t.Error("nothing is no snapshot")
	}
}

// refused changes a valid snapshot and wants a problem at the place, and no secret told.
func refused(t *testing.T, place string, change func(*snapshot.Snapshot)) {
	t.Run(place, func(t *testing.T) {
		s := valid(t)
		change(s)
		a, err := snapshot.Activate(s)
		var problem *snapshot.Error
		if a != nil || !errors.As(err, &problem) {
			t.Fatalf("%v, %v", a, err)
		}
		if problem.Place != place {
			t.Errorf("%q, want %q: %v", problem.Place, place, err)
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), string(testTLS().key[30:50])) {
			t.Errorf("a secret stands in %q", err)
		}
	})
}

func TestActivateTakesTheLeastSnapshot(t *testing.T) {
	s := valid(t)
	s.Domains, s.Policies, s.Gateway.Egress = nil, nil, snapshot.Egress{}
	a := activate(t, s)
	if a.KnowsPeer("friend.example") {
		t.Error("a gateway without policies knows a peer")
	}
}

func BenchmarkActivate(b *testing.B) {
	s := valid(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := snapshot.Activate(s); err != nil {
			b.Fatal(err)
		}
	}
}
