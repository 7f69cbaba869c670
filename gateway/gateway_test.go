package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestReadyOnlyWhenASnapshotIsServed(t *testing.T) {
	s := newSite(t, nil).run()
	if status, body := s.ready(); status != http.StatusServiceUnavailable || body["reason"] != "no snapshot applied yet" {
		t.Errorf("before Apply: %d %v", status, body)
	}
	// the resources answer 503 as well; TLS has no certificate to begin with
	a := get(t, http.DefaultClient, s.submitURL("http"))
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("submit before Apply: %+v", a)
	}
	if _, err := s.client("h1").Get(s.publicURL("/")); err == nil {
		t.Error("TLS worked without a certificate")
	}
	check(t, s.Apply(s.snap))
	if status, body := s.ready(); status != http.StatusOK || body["gateway"] != "default/edge" || body["capabilitiesSerial"] != 7.0 {
		t.Errorf("after Apply: %d %v", status, body)
	}
	if a := get(t, http.DefaultClient, "http://"+s.Addrs().Admin.String()+"/healthz"); a.status != http.StatusOK {
		t.Errorf("/healthz: %+v", a)
	}
}

func TestListenersThatAreNotAskedForAreNotOpened(t *testing.T) {
	s := serve(t, func(o *gateway.Options, _ *snapshot.Snapshot) { o.SubmitAddr = "" })
	if addrs := s.Addrs(); addrs.Submit != nil || addrs.Public == nil || addrs.Admin == nil {
		t.Errorf("addresses: %+v", addrs)
	}
}

func TestAllListenersOpenOrNone(t *testing.T) {
	first := serve(t, nil)
	second := newSite(t, func(o *gateway.Options, _ *snapshot.Snapshot) { o.AdminAddr = first.Addrs().Admin.String() })
	err := second.Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "admin listener") {
		t.Errorf("Run: %v", err)
	}
}

// Proves: IS-CAP-1, IS-CAP-2, IS-DKIM-11
func TestPublicResources(t *testing.T) {
	s := serve(t, nil)
	for _, protocol := range []string{"h1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			client := s.client(protocol)
			a := get(t, client, s.publicURL(ischedule.WellKnownPath+"?action=capabilities"))
			if a.status != http.StatusOK || !strings.Contains(a.body, "<serial-number>7</serial-number>") ||
				a.header.Get(ischedule.HeaderCapabilities) != "7" || a.header.Get(ischedule.HeaderVersion) != "1.0" {
				t.Errorf("capabilities: %+v", a)
			}
			a = get(t, client, s.publicURL("/.well-known/domainkey/local.example/cal"))
			if a.status != http.StatusOK || strings.TrimSpace(a.body) != s.snap.Domains[0].Signing.Keys[0].Record {
				t.Errorf("key record: %+v", a)
			}
			req, err := http.NewRequest(http.MethodOptions, s.publicURL(""), nil)
			check(t, err)
			req.URL.Opaque = "*"
			if a := do(client, req); a.err != nil || a.status != http.StatusNoContent || a.header.Get(ischedule.HeaderVersion) != "1.0" {
				t.Errorf("OPTIONS *: %+v", a)
			}
			// nothing else is there, and nothing is redirected
			for _, path := range []string{"/", "/.well-known/", "/.well-known/ischedule/", "//.well-known/ischedule", "/x/../.well-known/ischedule",
				"/.well-known/domainkey/local.example", "/.well-known/domainkey/local.example/cal/", "/.well-known/domainkey/local.example/other",
				"/.well-known/domainkey/peer.example/cal", "/metrics", "/readyz"} {
				if a := get(t, client, s.publicURL(path)); a.status != http.StatusNotFound {
					t.Errorf("%s: %+v", path, a)
				}
			}
		})
	}
}

func TestMessageFromAPeerReachesTheBackEnd(t *testing.T) {
	s := serve(t, nil)
	for i, protocol := range []string{"h1", "h2"} {
		a := do(s.client(protocol), s.invitation())
		if a.status != http.StatusOK || !strings.Contains(a.body, "2.0;Success") {
			t.Errorf("%s: %+v", protocol, a)
		}
		if got := s.backend.count.Load(); got != int64(i+1) {
			t.Errorf("%s: %d deliveries", protocol, got)
		}
	}
	if got := s.metric(`calfed_http_requests_total{code="2xx",listener="public"}`); got != "2" {
		t.Errorf("requests counted: %q", got)
	}
	if s.metric(`calfed_capabilities_serial`) != "7" || s.metric(`calfed_snapshot_domains`) != "1" {
		t.Error("the snapshot's metrics are missing")
	}
	if s.metric(`calfed_certificate_expires_timestamp_seconds`) == "" || s.metric(`calfed_certificate_expires_timestamp_seconds`) == "0" {
		t.Error("nobody is told when the certificate ends")
	}
	if s.metric(`calfed_receiver_recipients_total{status="2.0"}`) != "2" {
		t.Error("the receiver's metrics are missing")
	}
}

// Proves: IS-SUB-1
func TestSubmitPortSpeaksTLSToThoseWhoDo(t *testing.T) {
	s := serve(t, nil)
	for _, scheme := range []string{"http", "https"} {
		for _, token := range []string{submitToken, "wrong", ""} {
			req, err := http.NewRequest(http.MethodPost, s.submitURL(scheme), strings.NewReader(
				strings.NewReplacer("%[1]s", "mailto:anna@local.example", "%[2]d", "9").Replace(invitation)))
			check(t, err)
			req.Header = http.Header{
				ischedule.HeaderVersion:    {ischedule.Version},
				ischedule.HeaderOriginator: {"mailto:anna@local.example"},
				ischedule.HeaderRecipient:  {"mailto:bert@local.example"},
				"Content-Type":             {"text/calendar; component=VEVENT; method=REQUEST"},
			}
			if token != "" {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			want := http.StatusUnauthorized
			if token == submitToken {
				want = http.StatusOK
			}
			if a := do(s.client("h1"), req); a.status != want {
				t.Errorf("%s with token %q: %+v, want %d", scheme, token, a, want)
			}
		}
	}
}

func TestBadSnapshotIsRefusedAndTheLastGoodOneStays(t *testing.T) {
	s := serve(t, nil)
	for name, spoil := range map[string]func(*snapshot.Snapshot){
		"no certificate":          func(n *snapshot.Snapshot) { n.Gateway.TLS = snapshot.KeyPair{} },
		"no memory for a domain":  func(n *snapshot.Snapshot) { n.Domains[0].Name = "other.example" },
		"unknown type":            func(n *snapshot.Snapshot) { n.Domains[0].Backend.Type = "Pigeon" },
		"bundle without one":      func(n *snapshot.Snapshot) { n.Gateway.Egress.CABundle = []byte("nothing") },
		"back end without a host": func(n *snapshot.Snapshot) { n.Domains[0].Backend = iscBackend("http://") },
	} {
		next := *s.snap
		next.Domains = []snapshot.Domain{s.snap.Domains[0]}
		spoil(&next)
		if err := s.Apply(&next); err == nil {
			t.Errorf("%s: applied", name)
		}
	}
	if a := do(s.client("h1"), s.invitation()); a.status != http.StatusOK {
		t.Errorf("after the refusals: %+v", a)
	}
	if got := s.metric("calfed_snapshots_rejected_total"); got != "5" {
		t.Errorf("rejected: %q", got)
	}
}

func iscBackend(url string) snapshot.Backend {
	return snapshot.Backend{Type: snapshot.BackendISchedule, ISchedule: &snapshot.ISchedule{URL: url}}
}

func TestStaleConfigurationIsShownAndStillReady(t *testing.T) {
	s := serve(t, nil)
	s.Stale("3 errors in the manifests")
	if status, body := s.ready(); status != http.StatusOK || body["stale"] != "3 errors in the manifests" {
		t.Errorf("stale: %d %v", status, body)
	}
	if got := s.metric("calfed_configuration_stale"); got != "1" {
		t.Errorf("stale: %q", got)
	}
	check(t, s.Apply(s.snap))
	if _, body := s.ready(); body["stale"] != nil {
		t.Errorf("after Apply: %v", body)
	}
	if got := s.metric("calfed_configuration_stale"); got != "0" {
		t.Errorf("after Apply: %q", got)
	}
}
