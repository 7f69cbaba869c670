package records_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/calfed/calfed/controllers/records"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
	"github.com/calfed/calfed/gateway/snapshot"
)

var (
	gateway  = &snapshot.Gateway{Host: "gw.example.org"}
	shortKey = snapshot.Key{Domain: "example.org", Selector: "ed1", Record: "v=DKIM1; k=ed25519; p=" + strings.Repeat("A", 44)}
	longKey  = snapshot.Key{Domain: "example.org", Selector: "rsa1", Record: "v=DKIM1; k=rsa; p=" + strings.Repeat("B", 736)}
	parents  = snapshot.Key{Domain: "example.org", Selector: "rsa1", Record: "v=DKIM1; k=rsa; s=ischedule; p=QQ=="}
)

// Proves: IS-DKIM-11
func TestFor(t *testing.T) {
	t.Parallel()
	srv := func(name, target string, port uint16) records.Record {
		return records.Record{Name: name, Type: "SRV", TTL: 3600, SRV: &records.SRV{Port: port, Target: target}}
	}
	for name, tc := range map[string]struct {
		domain snapshot.Domain
		opt    records.Options
		want   []records.Record
	}{
		"a domain without keys has its gateway only": {
			domain: snapshot.Domain{Name: "example.org"},
			want:   []records.Record{srv("_ischedules._tcp.example.org.", "gw.example.org.", 443)},
		},
		"dns/txt publishes the record of each key": {
			domain: snapshot.Domain{Name: "example.org", Signing: snapshot.Signing{Keys: []snapshot.Key{shortKey}, Lookup: []string{"dns/txt"}}},
			want: []records.Record{
				srv("_ischedules._tcp.example.org.", "gw.example.org.", 443),
				{Name: "ed1._domainkey.example.org.", Type: "TXT", TTL: 3600, Text: []string{shortKey.Record}},
			},
		},
		"a record longer than 255 octets is split": {
			domain: snapshot.Domain{Name: "example.org", Signing: snapshot.Signing{Keys: []snapshot.Key{longKey}, Lookup: []string{"dns/txt"}}},
			want: []records.Record{
				srv("_ischedules._tcp.example.org.", "gw.example.org.", 443),
				{Name: "rsa1._domainkey.example.org.", Type: "TXT", TTL: 3600, Text: []string{longKey.Record[:255], longKey.Record[255:510], longKey.Record[510:]}},
			},
		},
		"http/well-known publishes where keys are served, once": {
			domain: snapshot.Domain{Name: "example.org", Signing: snapshot.Signing{Keys: []snapshot.Key{shortKey, longKey}, Lookup: []string{"http/well-known"}}},
			want: []records.Record{
				srv("_domainkey_lookup._tcp.example.org.", "gw.example.org.", 443),
				srv("_ischedules._tcp.example.org.", "gw.example.org.", 443),
			},
		},
		"a parent's key is published at the parent": {
			domain: snapshot.Domain{Name: "team.example.org", Signing: snapshot.Signing{Keys: []snapshot.Key{parents}, Lookup: []string{"http/well-known", "dns/txt"}}},
			want: []records.Record{
				srv("_domainkey_lookup._tcp.example.org.", "gw.example.org.", 443),
				srv("_ischedules._tcp.team.example.org.", "gw.example.org.", 443),
				{Name: "rsa1._domainkey.example.org.", Type: "TXT", TTL: 3600, Text: []string{parents.Record}},
			},
		},
		"keys exchanged in private are not published": {
			domain: snapshot.Domain{Name: "example.org", Signing: snapshot.Signing{Keys: []snapshot.Key{shortKey}, Lookup: []string{"private-exchange"}}},
			want:   []records.Record{srv("_ischedules._tcp.example.org.", "gw.example.org.", 443)},
		},
		"the well-known path needs no TXT record": {
			domain: snapshot.Domain{Name: "example.org"},
			opt:    records.Options{Path: "/.well-known/ischedule", Port: 8443},
			want:   []records.Record{srv("_ischedules._tcp.example.org.", "gw.example.org.", 8443)},
		},
		"another path does": {
			domain: snapshot.Domain{Name: "example.org"},
			opt:    records.Options{Path: "/ischedule"},
			want: []records.Record{
				srv("_ischedules._tcp.example.org.", "gw.example.org.", 443),
				{Name: "_ischedules._tcp.example.org.", Type: "TXT", TTL: 3600, Text: []string{"path=/ischedule"}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, records.For(gateway, &tc.domain, tc.opt).All()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

var full = records.For(gateway, &snapshot.Domain{
	Name:    "example.org",
	Signing: snapshot.Signing{Keys: []snapshot.Key{shortKey, longKey}, Lookup: []string{"http/well-known", "dns/txt"}},
}, records.Options{Path: `/a "quoted\path`}).Records

func TestBINDReadsBack(t *testing.T) {
	t.Parallel()
	var got []records.Record
	zone := dns.NewZoneParser(strings.NewReader(records.BIND(full)), ".", "")
	for rr, ok := zone.Next(); ok; rr, ok = zone.Next() {
		r := records.Record{Name: rr.Header().Name, Type: dns.TypeToString[rr.Header().Rrtype], TTL: rr.Header().Ttl}
		switch rr := rr.(type) {
		case *dns.SRV:
			r.SRV = &records.SRV{Priority: rr.Priority, Weight: rr.Weight, Port: rr.Port, Target: rr.Target}
		case *dns.TXT:
			for _, s := range rr.Txt { // in presentation form
				r.Text = append(r.Text, strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(s))
			}
		}
		got = append(got, r)
	}
	if err := zone.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What we print, served by a real server, is what our own resolver finds.
func TestServedRecordsAreFound(t *testing.T) {
	t.Parallel()
	server, err := dnstest.New(records.BIND(full))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client := resolver.New(resolver.Config{Server: server.Addr()})
	for _, r := range full {
		name := strings.TrimSuffix(r.Name, ".")
		switch r.Type {
		case "SRV":
			found, _, err := client.LookupSRV(context.Background(), name)
			if err != nil || len(found) != 1 || found[0].Target != "gw.example.org" || found[0].Port != 443 {
				t.Errorf("%s: %v, %v", name, found, err)
			}
		case "TXT":
			found, _, err := client.LookupTXT(context.Background(), name)
			if err != nil || len(found) != 1 || strings.Join(found[0], "") != r.Joined() {
				t.Errorf("%s: %q, %v; want %q", name, found, err, r.Joined())
			}
		}
	}
}

func TestDnsmasq(t *testing.T) {
	t.Parallel()
	got := records.Dnsmasq(full)
	want := strings.Join([]string{
		`# set local-ttl, say to 3600: with dnsmasq's own 0, peers look up the key for every message`,
		`srv-host=_domainkey_lookup._tcp.example.org,gw.example.org,443,0,0`,
		`srv-host=_ischedules._tcp.example.org,gw.example.org,443,0,0`,
		`txt-record=_ischedules._tcp.example.org,"path=/a \"quoted\\path"`,
		`txt-record=ed1._domainkey.example.org,"` + shortKey.Record + `"`,
		`txt-record=rsa1._domainkey.example.org,"` + longKey.Record[:255] + `","` + longKey.Record[255:510] + `","` + longKey.Record[510:] + `"`,
	}, "\n") + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestZoneTextEscapesWhatIsNotVisible(t *testing.T) {
	t.Parallel()
	got := records.BIND([]records.Record{{Name: "a.", Type: "TXT", TTL: 1, Text: []string{"\"\\\nä"}}})
	if want := `a. 1 IN TXT "\"\\\010\195\164"` + "\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
