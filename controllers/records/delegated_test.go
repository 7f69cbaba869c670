package records_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/records"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// lines are records as "name type data".
func lines(list []records.Record) []string {
	var out []string
	for _, r := range list {
		out = append(out, r.Name+" "+r.Type+" "+r.Data())
	}
	return out
}

// Keys have a record from before they sign until after, and revoked ones say so.
func TestForFollowsTheStatesOfKeys(t *testing.T) {
	t.Parallel()
	key := func(selector, record string, state snapshot.KeyState) snapshot.Key {
		return snapshot.Key{Domain: "example.org", Selector: selector, Record: record, State: state}
	}
	d := &snapshot.Domain{Name: "example.org", Signing: snapshot.Signing{Lookup: []string{"dns/txt"}, Keys: []snapshot.Key{
		key("a", "v=DKIM1; p=QQ==", snapshot.KeyActive), key("b", "v=DKIM1; p=Qg==", snapshot.KeyStandby), key("c", "v=DKIM1; p=", snapshot.KeyRevoked),
	}}}
	want := []string{
		"_ischedules._tcp.example.org. SRV 0 0 443 gw.example.org.",
		"a._domainkey.example.org. TXT v=DKIM1; p=QQ==",
		"b._domainkey.example.org. TXT v=DKIM1; p=Qg==",
		"c._domainkey.example.org. TXT v=DKIM1; p=",
	}
	if diff := cmp.Diff(want, lines(records.For(gateway, d, records.Options{}).Records)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

var delegatedDomain = &snapshot.Domain{
	Name: "team.example.org",
	Signing: snapshot.Signing{Lookup: []string{"dns/txt", "http/well-known"}, Keys: []snapshot.Key{
		{Domain: "team.example.org", Selector: "cal1", Record: "v=DKIM1; p=QQ=="}, parents,
	}},
}

func TestForADelegatedDomain(t *testing.T) {
	t.Parallel()
	opt := records.Options{Zone: "dns.operator.example", Path: "/ischedule", Alternating: []records.KeyName{{Domain: "team.example.org", Selector: "cal1"}, {Domain: "team.example.org", Selector: "cal2"}}}
	const zone = ".dns.operator.example."
	for name, tc := range map[string]struct {
		lookup        []string
		keyless       bool
		owner, behind []string
	}{
		"each name leads below the zone, both selectors from the start": {
			lookup: []string{"dns/txt", "http/well-known"},
			owner: []string{
				"_domainkey_lookup._tcp.example.org. CNAME _domainkey_lookup._tcp.example.org" + zone,
				"_domainkey_lookup._tcp.team.example.org. CNAME _domainkey_lookup._tcp.team.example.org" + zone,
				"_ischedules._tcp.team.example.org. CNAME _ischedules._tcp.team.example.org" + zone,
				"cal1._domainkey.team.example.org. CNAME cal1._domainkey.team.example.org" + zone,
				"cal2._domainkey.team.example.org. CNAME cal2._domainkey.team.example.org" + zone,
				"rsa1._domainkey.example.org. CNAME rsa1._domainkey.example.org" + zone,
			},
			behind: []string{
				"_domainkey_lookup._tcp.example.org" + zone + " SRV 0 0 443 gw.example.org.",
				"_domainkey_lookup._tcp.team.example.org" + zone + " SRV 0 0 443 gw.example.org.",
				"_ischedules._tcp.team.example.org" + zone + " SRV 0 0 443 gw.example.org.",
				"_ischedules._tcp.team.example.org" + zone + " TXT path=/ischedule",
				"cal1._domainkey.team.example.org" + zone + " TXT v=DKIM1; p=QQ==",
				"rsa1._domainkey.example.org" + zone + " TXT " + parents.Record,
			},
		},
		"each name is there before the first key": {
			lookup: []string{"http/well-known"}, keyless: true,
			owner: []string{
				"_domainkey_lookup._tcp.team.example.org. CNAME _domainkey_lookup._tcp.team.example.org" + zone,
				"_ischedules._tcp.team.example.org. CNAME _ischedules._tcp.team.example.org" + zone,
			},
			behind: []string{
				"_ischedules._tcp.team.example.org" + zone + " SRV 0 0 443 gw.example.org.",
				"_ischedules._tcp.team.example.org" + zone + " TXT path=/ischedule",
			},
		},
		"keys that nobody looks up in DNS have no name there": {
			lookup: []string{"private-exchange"},
			owner:  []string{"_ischedules._tcp.team.example.org. CNAME _ischedules._tcp.team.example.org" + zone},
			behind: []string{
				"_ischedules._tcp.team.example.org" + zone + " SRV 0 0 443 gw.example.org.",
				"_ischedules._tcp.team.example.org" + zone + " TXT path=/ischedule",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := *delegatedDomain
			d.Signing.Lookup = tc.lookup
			if tc.keyless {
				d.Signing.Keys = nil
			}
			set := records.For(gateway, &d, opt)
			if diff := cmp.Diff(tc.owner, lines(set.CNAMEs)); diff != "" {
				t.Errorf("the owner's (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.behind, lines(set.Records)); diff != "" {
				t.Errorf("ours (-want +got):\n%s", diff)
			}
		})
	}
}

// What a delegated domain has in DNS, served by a real server, leads a resolver to the same as if it stood at the domain.
func TestDelegatedRecordsAreFound(t *testing.T) {
	t.Parallel()
	server, err := dnstest.New(records.BIND(records.For(gateway, delegatedDomain, records.Options{Zone: "dns.operator.example"}).All()))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client := resolver.New(resolver.Config{Server: server.Addr()})
	found, _, err := client.LookupSRV(context.Background(), "_ischedules._tcp.team.example.org")
	if err != nil || len(found) != 1 || found[0].Target != "gw.example.org" {
		t.Errorf("%v, %v", found, err)
	}
	texts, _, err := client.LookupTXT(context.Background(), "cal1._domainkey.team.example.org")
	if err != nil || len(texts) != 1 || strings.Join(texts[0], "") != "v=DKIM1; p=QQ==" {
		t.Errorf("%q, %v", texts, err)
	}
}

func TestOptionsOf(t *testing.T) {
	t.Parallel()
	d := &v1alpha1.FederatedDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant"}}
	d.Spec.Signing = &v1alpha1.Signing{Keys: []v1alpha1.KeyRef{{Name: "a"}, {Name: "b"}, {Name: "unique"}, {Name: "imported"}}}
	key := func(namespace, name string, g *v1alpha1.GeneratedKey) v1alpha1.DKIMKey {
		k := v1alpha1.DKIMKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		k.Spec.Domain, k.Spec.Source.Generated = "example.org", g
		return k
	}
	alternating := &v1alpha1.GeneratedKey{Selectors: v1alpha1.SelectorsAlternating}
	keys := []v1alpha1.DKIMKey{
		key("tenant", "a", alternating),
		key("tenant", "b", &v1alpha1.GeneratedKey{Selectors: v1alpha1.SelectorsAlternating, SelectorPrefix: "ed"}),
		key("tenant", "unique", &v1alpha1.GeneratedKey{}),
		key("tenant", "imported", nil),
		key("tenant", "of-another-domain", alternating),
		key("stranger", "a", &v1alpha1.GeneratedKey{Selectors: v1alpha1.SelectorsAlternating, SelectorPrefix: "evil"}),
	}
	if got := records.OptionsOf(d, keys); !cmp.Equal(got, records.Options{}) {
		t.Errorf("not delegated: %+v", got)
	}
	d.Spec.Publish = &v1alpha1.Publish{Delegated: &v1alpha1.Delegated{Zone: "dns.operator.example"}}
	want := records.Options{Zone: "dns.operator.example", Alternating: []records.KeyName{
		{Domain: "example.org", Selector: "cal1"}, {Domain: "example.org", Selector: "cal2"}, {Domain: "example.org", Selector: "ed1"}, {Domain: "example.org", Selector: "ed2"},
	}}
	if diff := cmp.Diff(want, records.OptionsOf(d, keys)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	d.Spec.Signing = nil
	if got := records.OptionsOf(d, keys); len(got.Alternating) > 0 {
		t.Errorf("a domain without keys: %+v", got)
	}
}

func TestData(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]records.Record{
		"0 0 443 gw.example.org.":             {Type: "SRV", SRV: &records.SRV{Port: 443, Target: "gw.example.org."}},
		"cal1._domainkey.example.org.zone.":   {Type: "CNAME", Target: "cal1._domainkey.example.org.zone."},
		longKey.Record:                        {Type: "TXT", Text: []string{longKey.Record[:255], longKey.Record[255:]}},
		`path=/a \"quoted\\path \195\164\010`: {Type: "TXT", Text: []string{"path=/a \"quoted\\path ä\n"}},
	} {
		if got := r.Data(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// The token is what was agreed on, and another one for every claimant and gateway.
func TestChallenge(t *testing.T) {
	t.Parallel()
	name, value := records.Challenge("gw.example.org", "infra/edge", "tenant-a", "example.com")
	if name != "_calfed-challenge.example.com" || value != "calfed-domain-verification=q7he5vcjgxrwffxs6srmmqpsjuv5bjtvo2bw7l6ppgwimqkaq5na" {
		t.Errorf("%s %s", name, value)
	}
	seen := map[string]bool{value: true}
	for _, parts := range [][4]string{
		{"gw2.example.org", "infra/edge", "tenant-a", "example.com"},
		{"gw.example.org", "tenant-b/edge", "tenant-a", "example.com"},
		{"gw.example.org", "infra/edge", "tenant-b", "example.com"},
		{"gw.example.org", "infra/edge", "tenant-a", "example.net"},
		{"gw.example.orginfra/edge", "", "tenant-a", "example.com"},
	} {
		_, value := records.Challenge(parts[0], parts[1], parts[2], parts[3])
		if seen[value] {
			t.Errorf("%q has a token that another has", parts)
		}
		seen[value] = true
	}
}
