package discovery_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Proves: IS-DISC-9
func TestTheReceiverProvesWhoItIs(t *testing.T) {
	srvID := func(name string) catest.Leaf {
		return catest.Leaf{DNS: []string{"host7.provider.test"}, SRV: []string{"_ischedules." + name}}
	}
	tests := []struct {
		name    string
		leaf    catest.Leaf
		require string
		ok      bool
	}{
		{"the target host", host("cal.peer.test"), "", true},
		{"the source domain", host("peer.test"), "", true},
		{"an SRV-ID of the source domain", srvID("peer.test"), "", true},
		{"an SRV-ID of another domain", srvID("other.test"), "", false},
		{"another host", host("cal.other.test"), "", false},
		{"the target host, where the source domain is demanded", host("cal.peer.test"), "SourceName", false},
		{"the source domain, where it is demanded", host("peer.test"), "SourceName", true},
		{"an SRV-ID, where the source domain is demanded", srvID("peer.test"), "SourceName", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			p := r.peer(tt.leaf, serving("/.well-known/ischedule"))
			r.zone(srv("peer.test", 0, "cal.peer.test", p.port), address("cal.peer.test", "127.0.0.1"))
			got, err := r.disc.Find(t.Context(), "peer.test", &snapshot.Outbound{RequireSecureIdentity: tt.require})
			if !tt.ok {
				// Not "no service": who sits on the path could bring that about.
				if !errors.Is(err, discovery.ErrTemporary) || !errors.Is(err, netguard.ErrIdentity) {
					t.Errorf("err = %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if a, err := r.disc.Post(t.Context(), got, http.Header{}, []byte("x")); err != nil || a.Status != 200 {
				t.Errorf("%+v %v", a, err)
			}
		})
	}
}

// Proves: IS-DISC-9, IS-SEND-1
func TestWhatProvesOneDomainProvesNoOther(t *testing.T) {
	r := newRig(t)
	leaf := catest.Leaf{DNS: []string{"host7.provider.test"}, SRV: []string{"_ischedules.a.test"}}
	p := r.peer(leaf, serving("/.well-known/ischedule"))
	shared := r.peer(host("cal.test"), serving("/.well-known/ischedule"))
	r.zone(srv("a.test", 0, "cal.test", p.port), srv("b.test", 0, "cal.test", p.port),
		srv("c.test", 0, "cal.test", shared.port), srv("d.test", 0, "cal.test", shared.port), address("cal.test", "127.0.0.1"))
	for range 2 {
		r.find("a.test")
		if _, err := r.disc.Find(t.Context(), "b.test", nil); !errors.Is(err, netguard.ErrIdentity) {
			t.Errorf("b.test got the receiver that proved a.test: %v", err)
		}
	}

	demand := &snapshot.Outbound{RequireSecureIdentity: "SourceName"}
	if _, err := r.disc.Find(t.Context(), "a.test", demand); err != nil {
		t.Error(err)
	}
	if _, err := r.disc.Find(t.Context(), "b.test", demand); !errors.Is(err, netguard.ErrIdentity) {
		t.Errorf("b.test got the receiver that had to prove a.test: %v", err)
	}

	// A host that proved its own name is one receiver for all its domains.
	c, d := r.find("c.test"), r.find("d.test")
	if c.Key != d.Key || len(shared.requests()) != 1 {
		t.Errorf("keys %q, %q after %d requests", c.Key, d.Key, len(shared.requests()))
	}
	other, err := r.disc.Find(t.Context(), "d.test", &snapshot.Outbound{Authorization: "Bearer x"})
	if err != nil || other.Key == d.Key {
		t.Errorf("other settings share the key: %v", err)
	}
}

// Proves: IS-DISC-9
func TestDNSSECMayBeDemanded(t *testing.T) {
	r := newRig(t)
	p := r.peer(host("cal.peer.test"), serving("/.well-known/ischedule"))
	r.zone(srv("peer.test", 0, "cal.peer.test", p.port), address("cal.peer.test", "127.0.0.1"))
	out := &snapshot.Outbound{RequireSecureIdentity: "DNSSEC"}
	if _, err := r.disc.Find(t.Context(), "peer.test", out); !errors.Is(err, discovery.ErrInsecure) || !errors.Is(err, discovery.ErrNoService) {
		t.Errorf("an answer without AD: err = %v", err)
	}
	r.find("peer.test") // nothing is demanded

	r = newRig(t)
	r.dns.SetSecure(true)
	p = r.peer(host("cal.peer.test"), serving("/.well-known/ischedule"))
	r.zone(srv("peer.test", 0, "cal.peer.test", p.port), address("cal.peer.test", "127.0.0.1"))
	if _, err := r.disc.Find(t.Context(), "peer.test", out); err != nil {
		t.Errorf("an answer with AD: %v", err)
	}

	r = newRig(t, func(c *discovery.Config, _ *netguard.Config) { c.DNS = insecureTXT{c.DNS} })
	r.dns.SetSecure(true)
	p = r.peer(host("cal.peer.test"), serving("/.well-known/ischedule"))
	r.zone(srv("peer.test", 0, "cal.peer.test", p.port), address("cal.peer.test", "127.0.0.1"), `_ischedules._tcp.peer.test. IN TXT "path=/evil"`)
	if _, err := r.disc.Find(t.Context(), "peer.test", out); err != nil {
		t.Errorf("a path without AD was taken: %v", err)
	}
}

// insecureTXT is a DNS whose TXT answers nobody vouches for.
type insecureTXT struct{ discovery.DNS }

func (d insecureTXT) LookupTXT(ctx context.Context, name string) ([][]string, resolver.Answer, error) {
	rrs, answer, err := d.DNS.LookupTXT(ctx, name)
	answer.Secure = false
	return rrs, answer, err
}

// Proves: IS-DISC-9
func TestAPolicyMayAddACAOrPinAKey(t *testing.T) {
	r := newRig(t)
	own, err := catest.New()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := own.Issue(host("cal.peer.test"))
	if err != nil {
		t.Fatal(err)
	}
	p := r.peerWith(cert, serving("/.well-known/ischedule"))
	r.zone(srv("peer.test", 0, "cal.peer.test", p.port), address("cal.peer.test", "127.0.0.1"))
	pin, wrong := catest.SPKI(cert), strings.Repeat("0", 64)
	tests := []struct {
		name string
		out  snapshot.Outbound
		ok   bool
	}{
		{"a CA nobody knows", snapshot.Outbound{}, false},
		{"its CA", snapshot.Outbound{CABundle: own.PEM()}, true},
		{"its CA and its key", snapshot.Outbound{CABundle: own.PEM(), CertificateSHA256: []string{wrong, pin}}, true},
		{"its CA and another key", snapshot.Outbound{CABundle: own.PEM(), CertificateSHA256: []string{wrong}}, false},
		{"its key alone", snapshot.Outbound{CertificateSHA256: []string{pin}}, false},
		{"a bundle without a certificate", snapshot.Outbound{CABundle: []byte("none")}, false},
		{"a client certificate that is none", snapshot.Outbound{CABundle: own.PEM(), ClientCertificate: &snapshot.KeyPair{}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := r.disc.Find(t.Context(), "peer.test", &tt.out); (err == nil) != tt.ok || (err != nil && !errors.Is(err, discovery.ErrTemporary)) {
				t.Errorf("err = %v, want ok = %v", err, tt.ok)
			}
		})
	}
}

func TestCredentialsGoToTheNamedOrigin(t *testing.T) {
	r := newRig(t)
	p := r.one(serving("/.well-known/ischedule"))
	got, err := r.disc.Find(t.Context(), "peer.test", r.credentials())
	if err != nil {
		t.Fatal(err)
	}
	if !got.TakesAuthorization() {
		t.Error("the named origin does not take the credential")
	}
	if _, err := r.disc.Post(t.Context(), got, http.Header{"Authorization": {"Bearer hidden"}}, nil); err != nil {
		t.Fatal(err)
	}
	want := []exchange{
		{Method: "GET", URL: "/.well-known/ischedule?action=capabilities", Authorization: "Bearer hidden", ClientCert: "gw.test"},
		{Method: "POST", URL: "/.well-known/ischedule", Authorization: "Bearer hidden", ClientCert: "gw.test"},
	}
	if d := cmp.Diff(want, p.requests()); d != "" {
		t.Error(d)
	}
}
