package discovery_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// redirecting sends every request for from to another place, and serves at to.
func redirecting(code int, from, location, to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == from {
			w.Header().Set("Location", location)
			w.WriteHeader(code)
			return
		}
		serving(to)(w, r)
	}
}

// Proves: IS-DISC-4
func TestRedirectsOfCapabilitiesAreFollowed(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		for name, location := range map[string]string{
			"as Cyrus does, without the query": "/ischedule",
			"with the query":                   "/ischedule?action=capabilities",
		} {
			t.Run(fmt.Sprint(code, " ", name), func(t *testing.T) {
				r := newRig(t)
				p := r.peer(host("cal.peer.test"), redirecting(code, "/.well-known/ischedule", location, "/ischedule"))
				r.zone(srv("peer.test", 0, "cal.peer.test", p.port), address("cal.peer.test", "127.0.0.1"))
				got := r.find("peer.test")
				if got.URL != "https://cal.peer.test:"+p.port+"/ischedule" {
					t.Errorf("found %s", got.URL)
				}
				if a, err := r.disc.Post(t.Context(), got, http.Header{}, []byte("body")); err != nil || string(a.Body) != "posted" {
					t.Errorf("%+v %v", a, err)
				}
				want := []exchange{
					{Method: "GET", URL: "/.well-known/ischedule?action=capabilities"},
					{Method: "GET", URL: "/ischedule?action=capabilities"},
					{Method: "POST", URL: "/ischedule", Body: "body"},
				}
				if d := cmp.Diff(want, p.requests()); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

// Proves: IS-DISC-4, IS-DISC-6, IS-DISC-10
func TestHostileRedirectsOfCapabilities(t *testing.T) {
	hops := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var at int
			if _, err := fmt.Sscanf(r.URL.Path, "/hop%d", &at); err != nil {
				at = 0
			}
			if at == n {
				serving(r.URL.Path)(w, r)
				return
			}
			http.Redirect(w, r, fmt.Sprintf("/hop%d", at+1), http.StatusFound)
		}
	}
	to := func(location string) http.HandlerFunc {
		return redirecting(302, "/.well-known/ischedule", location, "/ischedule")
	}
	tests := []struct {
		name string
		h    http.HandlerFunc
		want error // nil = found
		rule string
	}{
		{"three hops", hops(3), nil, ""},
		{"four hops", hops(4), discovery.ErrNoService, ""},
		{"to itself", to("/.well-known/ischedule"), discovery.ErrNoService, ""},
		{"to http", to("http://cal.peer.test:8080/ischedule"), discovery.ErrNoService, ""},
		{"to another scheme", to("file:///etc/passwd"), discovery.ErrNoService, ""},
		{"with credentials", to("https://user:secret@cal.peer.test/ischedule"), discovery.ErrNoService, ""},
		{"to no host", to("https:///ischedule"), discovery.ErrNoService, ""},
		{"to no URL", to("https://[::1/"), discovery.ErrNoService, ""},
		{"without Location", to(""), discovery.ErrNoService, ""},
		{"to a private address", to("https://10.1.2.3/ischedule"), nil, "private"},
		{"to a metadata service", to("https://169.254.169.254/latest"), nil, "metadata"},
		{"to a mapped address", to("https://[::ffff:127.0.0.1]:8443/ischedule"), nil, "mapped"},
		{"to a name with a private address", to("https://inner.test/ischedule"), nil, "private"},
		{"to a low port", to("https://cal.peer.test:25/ischedule"), nil, "port"},
		{"not modified, though nothing was known", status(304), discovery.ErrTemporary, ""},
		{"multiple choices", status(300), discovery.ErrNoService, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			p := r.peer(host("cal.peer.test"), tt.h)
			r.zone(srv("peer.test", 0, "cal.peer.test", p.port), address("cal.peer.test", "127.0.0.1"), address("inner.test", "192.168.1.1"))
			_, err := r.disc.Find(t.Context(), "peer.test", nil)
			var refused *netguard.RefusedError
			switch {
			case tt.rule != "":
				if !errors.As(err, &refused) || refused.Rule != tt.rule {
					t.Errorf("err = %v, want refused by %s", err, tt.rule)
				}
			case !errors.Is(err, tt.want):
				t.Errorf("err = %v, want %v", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells the credentials: %v", err)
			}
		})
	}
}

// credentials are what a policy may hold, for endpoints it names too.
func (r *rig) credentials() *snapshot.Outbound {
	r.t.Helper()
	cert, err := r.ca.Issue(catest.Leaf{DNS: []string{"gw.test"}, Client: true})
	if err != nil {
		r.t.Fatal(err)
	}
	chain, key, err := catest.EncodePEM(cert)
	if err != nil {
		r.t.Fatal(err)
	}
	return &snapshot.Outbound{
		Authorization:     "Bearer hidden",
		ClientCertificate: &snapshot.KeyPair{Certificate: chain, Key: key},
	}
}

// Proves: IS-DISC-4
func TestCredentialsNeverCrossOrigins(t *testing.T) {
	r := newRig(t)
	end := r.peer(host("end.test"), serving("/ischedule"))
	start := r.peer(host("cal.peer.test"), func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/.well-known/ischedule" {
			http.Redirect(w, req, "/two?action=capabilities", http.StatusTemporaryRedirect)
			return
		}
		http.Redirect(w, req, "https://end.test:"+end.port+"/ischedule", http.StatusTemporaryRedirect)
	})
	r.zone(srv("peer.test", 0, "cal.peer.test", start.port), address("cal.peer.test", "127.0.0.1"), address("end.test", "127.0.0.1"))
	got, err := r.disc.Find(t.Context(), "peer.test", r.credentials())
	if err != nil {
		t.Fatal(err)
	}
	if got.TakesAuthorization() {
		t.Error("another origin takes the credential")
	}
	if _, err := r.disc.Post(t.Context(), got, http.Header{"Authorization": {"Bearer hidden"}}, []byte("x")); err != nil {
		t.Error(err)
	}
	for _, e := range start.requests() {
		if e.Authorization != "Bearer hidden" || e.ClientCert != "gw.test" {
			t.Errorf("the named origin did not get the credentials: %+v", e)
		}
	}
	want := []exchange{{Method: "GET", URL: "/ischedule?action=capabilities"}, {Method: "POST", URL: "/ischedule", Body: "x"}}
	if d := cmp.Diff(want, end.requests()); d != "" {
		t.Error(d)
	}
	if strings.Contains(got.Key+strings.Join(got.Steps, ""), "hidden") {
		t.Error("the key or the steps tell the credential")
	}
}

// Proves: IS-DISC-4
func TestAnotherPortIsAnotherOrigin(t *testing.T) {
	r := newRig(t)
	end := r.peer(host("cal.peer.test"), serving("/ischedule"))
	start := r.peer(host("cal.peer.test"), redirecting(301, "/.well-known/ischedule", "https://cal.peer.test:"+end.port+"/ischedule", ""))
	r.zone(srv("peer.test", 0, "cal.peer.test", start.port), address("cal.peer.test", "127.0.0.1"))
	if _, err := r.disc.Find(t.Context(), "peer.test", r.credentials()); err != nil {
		t.Fatal(err)
	}
	for _, e := range end.requests() {
		if e.Authorization != "" || e.ClientCert != "" {
			t.Errorf("credentials crossed: %+v", e)
		}
	}
}

// Proves: IS-DISC-4, IS-DISC-10
func TestARedirectFromAConfiguredEndpointIsAPeer(t *testing.T) {
	// Loopback is permitted for what is configured only, so the other origin must be refused.
	r := newRig(t, func(_ *discovery.Config, g *netguard.Config) { g.BackendCIDRs, g.PeerCIDRs = g.PeerCIDRs, nil })
	inner := r.peer(host("inner.test"), serving("/ischedule"))
	p := r.peer(host("cal.peer.test"), func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/a":
			http.Redirect(w, req, "/ischedule", http.StatusFound)
		case "/b":
			http.Redirect(w, req, "https://inner.test:"+inner.port+"/ischedule", http.StatusFound)
		default:
			serving("/ischedule")(w, req)
		}
	})
	r.zone(address("cal.peer.test", "127.0.0.1"), address("inner.test", "127.0.0.1"))
	base := "https://cal.peer.test:" + p.port
	if _, err := r.disc.Find(t.Context(), "peer.test", &snapshot.Outbound{Endpoint: base + "/a"}); err != nil {
		t.Errorf("the same origin: %v", err)
	}
	var refused *netguard.RefusedError
	if _, err := r.disc.Find(t.Context(), "peer.test", &snapshot.Outbound{Endpoint: base + "/b"}); !errors.As(err, &refused) {
		t.Errorf("another origin: %v", err)
	}
	if n := len(inner.requests()); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}
