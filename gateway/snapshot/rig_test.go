package snapshot_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// key is a signing key made from one octet, with its record.
func key(t testing.TB, domain, selector string, seed byte) snapshot.Key {
	t.Helper()
	full := make([]byte, ed25519.SeedSize)
	full[0] = seed
	private := ed25519.NewKeyFromSeed(full)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	record, err := dkim.FormatRecord(private.Public(), false)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Key{
		Source: "default/" + selector, Domain: domain, Selector: selector, Record: record,
		Private: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}
}

type material struct{ ca, certificate, key []byte }

var testTLS = sync.OnceValue(func() material {
	ca, err := catest.New()
	if err != nil {
		panic(err)
	}
	leaf, err := ca.Issue(catest.Leaf{DNS: []string{"gw.example.org"}})
	if err != nil {
		panic(err)
	}
	certificate, private, err := catest.EncodePEM(leaf)
	if err != nil {
		panic(err)
	}
	return material{ca.PEM(), certificate, private}
})

// valid is a snapshot with every kind of thing in it.
func valid(t testing.TB) *snapshot.Snapshot {
	t.Helper()
	tls := testTLS()
	pair := snapshot.KeyPair{Certificate: tls.certificate, Key: tls.key}
	return &snapshot.Snapshot{
		Format: snapshot.FormatVersion,
		Gateway: snapshot.Gateway{
			Name: "default/edge", Host: "gw.example.org", TLS: pair,
			Capabilities: ischedule.Capabilities{
				Serial: 7, Versions: []string{"1.0"},
				Messages:    []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST", "REPLY"}}, {Name: "VFREEBUSY", Methods: []string{"REQUEST"}}},
				DataTypes:   []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
				Attachments: ischedule.Attachments{External: true}, RScales: []string{"GREGORIAN"},
				MaxContentLength: 1 << 20, MaxInstances: 1000, MaxRecipients: 100,
				MinDateTime:   time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
				MaxDateTime:   time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
				Administrator: "mailto:postmaster@example.org",
			},
			DefaultAction: snapshot.Deny,
			Egress: snapshot.Egress{
				BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
				PeerCIDRs:    []netip.Prefix{netip.MustParsePrefix("::1/128")},
				Resolver:     "127.0.0.1:53", CABundle: tls.ca,
			},
			Limits: snapshot.Limits{
				MaxConnections: 1, MaxConnsPerSource: 1, RequestsPerSource: 1, KeyLookupsPerSource: 1, KeyLookupsPerDomain: 1, KeyLookups: 1,
				MaxHeaderBytes: 1, MaxInFlightBytes: 1, HeaderTimeout: 1, BodyTimeout: 1, DeliveryTimeout: 1,
			},
			Submission: snapshot.Submission{
				SMTP:      &snapshot.SMTPSubmission{MaxMessageBytes: 32 << 20, MaxRecipients: 100, AuthservID: "mx.example.org"},
				Smarthost: &snapshot.SMTPServer{Host: "smtp.example.org", Port: 587, TLS: snapshot.SMTPStartTLS, Username: "calfed", Password: "hunter2-mail"},
			},
		},
		Domains: []snapshot.Domain{
			{
				Name: "example.org", Source: "default/example-org",
				Signing: snapshot.Signing{
					Keys:   []snapshot.Key{key(t, "example.org", "one", 1), key(t, "example.org", "two", 2)},
					Lookup: []string{dkim.MethodWellKnown, dkim.MethodDNS},
				},
				Backend: snapshot.Backend{Type: snapshot.BackendISchedule, ISchedule: &snapshot.ISchedule{URL: "http://127.0.0.1:8008/ischedule"}},
				Accepts: []snapshot.Messages{{Component: "VEVENT", Methods: []string{"REQUEST"}}, {Component: "VFREEBUSY"}},
				Submitters: []snapshot.Submitter{
					{Name: "calendar", TokenSHA256: make([]byte, 32)},
					{Name: "other", Certificate: &snapshot.ClientCertificate{CA: tls.ca, Names: []string{"cal.example.org"}}},
				},
				Policies: []string{"default/deny", "default/friends"},
			},
			{
				Name:     "sub.example.org",
				Signing:  snapshot.Signing{Keys: []snapshot.Key{key(t, "example.org", "one", 1)}},
				Backend:  snapshot.Backend{Type: snapshot.BackendMemory},
				Policies: []string{"default/everybody"},
			},
			{
				Name:    "team.example.org",
				Signing: snapshot.Signing{Keys: []snapshot.Key{key(t, "example.org", "one", 1)}, Mail: true},
				Backend: snapshot.Backend{Type: snapshot.BackendCalDAV, CalDAV: &snapshot.CalDAV{
					URL: "https://calendar.example.org/dav/", Profile: snapshot.ProfileCyrus, PrincipalTemplate: "/dav/principals/user/{local}/",
					Username: "admin", Password: "hunter2-dav", FreeBusyPrincipal: "/dav/principals/user/calfed/", BypassACL: true,
				}},
				FreeBusyBackend: &snapshot.Backend{Type: snapshot.BackendCalDAV, CalDAV: &snapshot.CalDAV{
					URL: "https://calendar.example.org/", Profile: snapshot.ProfileSabreDAV, Token: "hunter2-token",
				}},
				Fallback: snapshot.FallbackIMIP,
				Submitters: []snapshot.Submitter{
					{Name: "davical", PinnedKey: &snapshot.PinnedKey{Selector: "dav", Record: key(t, "example.org", "dav", 4).Record}},
					{Name: "mta", Basic: &snapshot.Basic{Username: "mta", PasswordSHA256: make([]byte, 32)}},
				},
			},
			{
				Name:    "mail.example.org",
				Backend: snapshot.Backend{Type: snapshot.BackendIMIP, IMIP: &snapshot.IMIP{Server: &snapshot.SMTPServer{Host: "2001:db8::25", Port: 2525, TLS: snapshot.SMTPPlain}}},
			},
			{
				Name:    "relayed.example.org",
				Backend: snapshot.Backend{Type: snapshot.BackendIMIP, IMIP: &snapshot.IMIP{}},
			},
		},
		Policies: []snapshot.Policy{
			{ID: "default/deny", Peers: []string{"enemy.example", "*.enemy.example"}, Action: snapshot.Deny},
			{ID: "default/everybody", Peers: []string{"*.partners.example"}, Domains: []string{"*.example.org"}, Action: snapshot.Allow},
			{
				ID: "default/friends", Created: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
				Peers: []string{"friend.example", "*.friend.example"}, Domains: []string{"example.org"}, Action: snapshot.Allow,
				Inbound: snapshot.Inbound{
					Messages: []snapshot.Messages{{Component: "VEVENT", Methods: []string{"REQUEST"}}},
					Rate:     2.5, MaxRecipients: 10, MinRSABits: 2048, KeyLookup: []string{dkim.MethodDNS},
					PinnedKeys: []snapshot.PinnedKey{{Domain: "friend.example", Selector: "sel", Record: key(t, "friend.example", "sel", 3).Record}},
					MaxAge:     time.Hour, ThirdPartySigners: []string{"signer.example"}, FreeBusy: snapshot.FreeBusyBusyOnly,
				},
				Outbound: snapshot.Outbound{
					Endpoint: "https://cal.friend.example/.well-known/ischedule", CABundle: tls.ca,
					CertificateSHA256: []string{"0000000000000000000000000000000000000000000000000000000000000000"},
					ClientCertificate: &pair, Authorization: "Bearer x", RequireSecureIdentity: "DNSSEC",
					SignatureProfile: snapshot.SignatureDAViCal, Timeout: time.Second,
				},
			},
			{ID: "default/unused", Peers: []string{"*"}, Action: snapshot.Allow},
		},
	}
}
