package discovery_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/snapshot"
)

// closedPort is a port of loopback where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// Proves: IS-DISC-1, IS-DISC-2, IS-DISC-4, IS-CAP-5
func TestFindBySRVAndWellKnown(t *testing.T) {
	r := newRig(t)
	p := r.peer(host("cal.peer.test"), serving("/.well-known/ischedule"))
	r.zone(srv("peer.test", 0, "cal.peer.test", p.port), address("cal.peer.test", "127.0.0.1"))

	got := r.find("PEER.test.")
	if want := "https://cal.peer.test:" + p.port + "/.well-known/ischedule"; got.URL != want || got.Source != "srv" {
		t.Errorf("found %s by %s, want %s by srv", got.URL, got.Source, want)
	}
	if got.Capabilities.Serial != 7 || got.Capabilities.MaxRecipients != 10 {
		t.Errorf("capabilities %+v", got.Capabilities)
	}
	want := []exchange{{Method: "GET", URL: "/.well-known/ischedule?action=capabilities"}}
	if d := cmp.Diff(want, p.requests()); d != "" {
		t.Error(d)
	}
	steps := strings.Join(got.Steps, "\n")
	for _, s := range []string{"SRV _ischedules._tcp.peer.test", "TXT _ischedules._tcp.peer.test", "capabilities: 200"} {
		if !strings.Contains(steps, s) {
			t.Errorf("steps do not tell of %q:\n%s", s, steps)
		}
	}
}

// Proves: IS-DISC-1
func TestADomainThatIsNoneHasNoService(t *testing.T) {
	r := newRig(t)
	for _, domain := range []string{"", "..", "a b", "127.0.0.1", strings.Repeat("abcdefg.", 31) + "abcd"} {
		if _, err := r.disc.Find(t.Context(), domain, nil); !errors.Is(err, discovery.ErrNoService) {
			t.Errorf("%q: err = %v, want ErrNoService", domain, err)
		}
	}
}

// Proves: IS-DISC-2, IS-SEND-6
func TestTheNextTargetIsTriedWhenOneFails(t *testing.T) {
	failing := map[string]func(r *rig) string{
		"nothing listens": func(r *rig) string { return srv("peer.test", 1, "cal.peer.test", closedPort(r.t)) },
		"no address":      func(*rig) string { return srv("peer.test", 1, "gone.test", "443") },
		"refused address": func(*rig) string { return srv("peer.test", 1, "inner.test", "443") },
		"refused port":    func(*rig) string { return srv("peer.test", 1, "cal.peer.test", "25") },
		"404": func(r *rig) string {
			return srv("peer.test", 1, "cal.peer.test", r.peer(host("cal.peer.test"), status(404)).port)
		},
		"503": func(r *rig) string {
			return srv("peer.test", 1, "cal.peer.test", r.peer(host("cal.peer.test"), status(503)).port)
		},
		"another's name": func(r *rig) string {
			return srv("peer.test", 1, "cal.peer.test", r.peer(host("x.test"), status(200)).port)
		},
		"no host name": func(*rig) string { return `_ischedules._tcp.peer.test. IN SRV 1 1 443 a\.b\/c.test.` },
	}
	for name, record := range failing {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			good := r.peer(host("cal.peer.test"), serving("/.well-known/ischedule"))
			r.zone(record(r), srv("peer.test", 2, "cal.peer.test", good.port),
				address("cal.peer.test", "127.0.0.1"), address("inner.test", "10.1.2.3"))
			if got := r.find("peer.test"); !strings.Contains(got.URL, good.port) {
				t.Errorf("found %s", got.URL)
			}
		})
	}
}

// Proves: IS-DISC-2
func TestTargetsAreTriedByPriority(t *testing.T) {
	r := newRig(t)
	var order []string
	answer := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			order = append(order, name)
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
	a, b, c := r.peer(host("cal.peer.test"), answer("a")), r.peer(host("cal.peer.test"), answer("b")), r.peer(host("cal.peer.test"), answer("c"))
	r.zone(srv("peer.test", 30, "cal.peer.test", c.port), srv("peer.test", 10, "cal.peer.test", a.port),
		srv("peer.test", 20, "cal.peer.test", b.port), address("cal.peer.test", "127.0.0.1"))
	if _, err := r.disc.Find(t.Context(), "peer.test", nil); !errors.Is(err, discovery.ErrTemporary) {
		t.Errorf("err = %v, want ErrTemporary", err)
	}
	if got := strings.Join(order, ""); got != "abc" {
		t.Errorf("tried in the order %s", got)
	}
}

// Proves: IS-DISC-2, IS-SEND-6
func TestNothingIsFinalWhileOneTargetMayComeBack(t *testing.T) {
	absent := func(r *rig) string {
		return srv("peer.test", 1, "cal.peer.test", r.peer(host("cal.peer.test"), status(404)).port)
	}
	down := func(r *rig) string {
		return srv("peer.test", 1, "cal.peer.test", r.peer(host("cal.peer.test"), status(503)).port)
	}
	inner := func(*rig) string { return srv("peer.test", 1, "inner.test", "443") }
	tests := []struct {
		name             string
		targets          []func(*rig) string
		final, temporary bool
	}{
		{"absent and down", []func(*rig) string{absent, down}, false, true},
		{"refused and down", []func(*rig) string{inner, down}, false, true},
		{"refused and absent", []func(*rig) string{inner, absent}, false, false},
		{"absent twice", []func(*rig) string{absent, absent}, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.zone(tt.targets[0](r), tt.targets[1](r), address("cal.peer.test", "127.0.0.1"), address("inner.test", "10.0.0.1"))
			_, err := r.disc.Find(t.Context(), "peer.test", nil)
			var refused *netguard.RefusedError
			if errors.Is(err, discovery.ErrNoService) != tt.final || errors.Is(err, discovery.ErrTemporary) != tt.temporary ||
				errors.As(err, &refused) == (tt.final || tt.temporary) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

// Proves: IS-DISC-2
func TestATargetThatFailedComesLastForAWhile(t *testing.T) {
	r := newRig(t)
	dead := true
	first := r.peer(host("cal.peer.test"), func(w http.ResponseWriter, req *http.Request) {
		if dead {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		serving("/.well-known/ischedule")(w, req)
	})
	second := r.peer(host("cal.peer.test"), serving("/.well-known/ischedule"))
	r.zone(srv("peer.test", 1, "cal.peer.test", first.port), srv("peer.test", 2, "cal.peer.test", second.port), address("cal.peer.test", "127.0.0.1"))
	for range 2 {
		if got := r.find("peer.test"); !strings.Contains(got.URL, second.port) {
			t.Errorf("found %s", got.URL)
		}
	}
	if n := len(first.requests()); n != 1 {
		t.Errorf("the failing target was asked %d times, want once", n)
	}
	dead = false
	r.advance(2 * time.Minute)
	if got := r.find("peer.test"); !strings.Contains(got.URL, first.port) {
		t.Errorf("it came back, and found is %s", got.URL)
	}
}

// Proves: IS-DISC-2, IS-DISC-7
func TestTheRootAsTargetIsFinal(t *testing.T) {
	r := newRig(t, func(c *discovery.Config, _ *netguard.Config) {
		c.Options = snapshot.Discovery{ParentDomains: true, WellKnown: true}
	})
	p := r.peer(host("sub.peer.test"), serving("/.well-known/ischedule"))
	r.zone("_ischedules._tcp.sub.peer.test. IN SRV 0 0 0 .", srv("peer.test", 0, "sub.peer.test", p.port), address("sub.peer.test", "127.0.0.1"))
	if _, err := r.disc.Find(t.Context(), "sub.peer.test", nil); !errors.Is(err, discovery.ErrNoService) {
		t.Errorf("err = %v, want ErrNoService", err)
	}
	if n := r.dns.Queries("_ischedules._tcp.peer.test", dns.TypeSRV); n != 0 {
		t.Error("the parent was asked")
	}
}

// Proves: IS-DISC-3
func TestTXTPath(t *testing.T) {
	tests := []struct {
		name    string
		records [][]string
		path    string
		warning bool
	}{
		{"none", nil, "", false},
		{"a path", [][]string{{"path=/ischedule"}}, "/ischedule", false},
		{"the key in another case", [][]string{{"PaTh=/ischedule"}}, "/ischedule", false},
		{"the value as it stands", [][]string{{"path=/A/b%20c/~d;e=f"}}, "/A/b%20c/~d;e=f", false},
		{"among other keys", [][]string{{"v=1", "txtvers=1", "path=/a"}}, "/a", false},
		{"in another record", [][]string{{"v=spf1 -all"}, {"path=/a"}}, "/a", false},
		{"the first one wins", [][]string{{"path=/a", "path=/b"}, {"path=/c"}}, "/a", false},
		{"the first one wins, though it is unusable", [][]string{{"path=a", "path=/b"}}, "", true},
		{"other keys that look alike", [][]string{{"paths=/a", "xpath=/b", "path2=/c", " path=/d", "=path"}}, "", false},
		{"no value", [][]string{{"path"}}, "", true},
		{"an empty value", [][]string{{"path="}}, "", true},
		{"a relative path", [][]string{{"path=ischedule"}}, "", true},
		{"a URL", [][]string{{"path=https://evil.test/"}}, "", true},
		{"another host", [][]string{{"path=//evil.test/"}}, "", true},
		{"a backslash", [][]string{{`path=/\evil.test`}}, "", true},
		{"a query", [][]string{{"path=/a?b"}}, "", true},
		{"a fragment", [][]string{{"path=/a#b"}}, "", true},
		{"a blank", [][]string{{"path=/a b"}}, "", true},
		{"a line break", [][]string{{"path=/a\r\nX: y"}}, "", true},
		{"other letters", [][]string{{"path=/ä"}}, "", true},
		{"a broken escape", [][]string{{"path=/%zz"}}, "", true},
		{"very long", [][]string{{"path=/" + strings.Repeat("a", 2000)}}, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path, warning := discovery.TXTPath(tt.records)
			if path != tt.path || (warning != "") != tt.warning {
				t.Errorf("path %q, warning %q", path, warning)
			}
		})
	}
}

func FuzzTXTPath(f *testing.F) {
	for _, s := range []string{"path=/a", "PATH=/%2e%2e/x", "path", "path=//x", "path=/\x00", "path=/a@b:c"} {
		f.Add("v=1", s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		path, warning := discovery.TXTPath([][]string{{a}, {b}})
		if path == "" {
			return
		}
		if warning != "" {
			t.Errorf("both a path %q and a warning %q", path, warning)
		}
		_, va, _ := strings.Cut(a, "=")
		_, vb, _ := strings.Cut(b, "=")
		if path != va && path != vb {
			t.Errorf("%q is not a value as it stands", path)
		}
		req, err := http.NewRequest(http.MethodGet, "https://host.test:8443"+path, nil)
		if err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		if req.URL.Host != "host.test:8443" || req.URL.RequestURI() != path || req.URL.User != nil {
			t.Errorf("%q leads to %v", path, req.URL)
		}
	})
}

// Proves: IS-DISC-3
func TestThePathOfTXTIsAskedInPlaceOfTheWellKnownOne(t *testing.T) {
	r := newRig(t)
	p := r.peer(host("cal.peer.test"), serving("/cal/ischedule"))
	r.zone(srv("peer.test", 0, "cal.peer.test", p.port), `_ischedules._tcp.peer.test. IN TXT "Path=/cal/ischedule"`, address("cal.peer.test", "127.0.0.1"))
	if got := r.find("peer.test"); got.URL != "https://cal.peer.test:"+p.port+"/cal/ischedule" {
		t.Errorf("found %s", got.URL)
	}
	want := []exchange{{Method: "GET", URL: "/cal/ischedule?action=capabilities"}}
	if d := cmp.Diff(want, p.requests()); d != "" {
		t.Error(d)
	}
}

// Proves: IS-DISC-3
func TestAnUnusablePathIsIgnoredWithAWarning(t *testing.T) {
	var said strings.Builder
	r := newRig(t, func(c *discovery.Config, _ *netguard.Config) { c.Log = logTo(&said) })
	p := r.peer(host("cal.peer.test"), serving("/.well-known/ischedule"))
	r.zone(srv("peer.test", 0, "cal.peer.test", p.port), `_ischedules._tcp.peer.test. IN TXT "path=//evil.test/x"`, address("cal.peer.test", "127.0.0.1"))
	got := r.find("peer.test")
	if !slices.ContainsFunc(got.Steps, func(s string) bool { return strings.Contains(s, "path ignored") }) {
		t.Errorf("steps: %q", got.Steps)
	}
	if !strings.Contains(said.String(), "TXT path ignored") {
		t.Errorf("log: %s", said.String())
	}
}

// Proves: IS-DISC-5
func TestParentDomains(t *testing.T) {
	r := newRig(t)
	p := r.peer(host("cal.peer.test"), serving("/ischedule"))
	// co.uk is a public suffix: whoever published at it would take the mail of a whole country.
	records := []string{srv("peer.co.uk", 0, "cal.peer.test", p.port), srv("co.uk", 0, "cal.peer.test", p.port), srv("uk", 0, "cal.peer.test", p.port),
		`_ischedules._tcp.peer.co.uk. IN TXT "path=/ischedule"`, address("cal.peer.test", "127.0.0.1")}
	r.zone(records...)
	if _, err := r.disc.Find(t.Context(), "a.b.peer.co.uk", nil); !errors.Is(err, discovery.ErrNoService) {
		t.Errorf("off by default: err = %v", err)
	}

	r = newRig(t, func(c *discovery.Config, _ *netguard.Config) { c.Options.ParentDomains = true })
	p = r.peer(host("cal.peer.test"), serving("/ischedule"))
	records[0] = srv("peer.co.uk", 0, "cal.peer.test", p.port)
	r.zone(records...)
	if got := r.find("a.b.peer.co.uk"); got.Source != "srv-parent" {
		t.Errorf("found by %s", got.Source)
	}
	for _, name := range []string{"a.b.peer.co.uk", "b.peer.co.uk", "peer.co.uk"} {
		if n := r.dns.Queries("_ischedules._tcp."+name, dns.TypeSRV); n != 1 {
			t.Errorf("%s was asked %d times, want once", name, n)
		}
	}
	for _, domain := range []string{"other.co.uk", "co.uk"} {
		if _, err := r.disc.Find(t.Context(), domain, nil); domain != "co.uk" && !errors.Is(err, discovery.ErrNoService) {
			t.Errorf("%s: err = %v", domain, err)
		}
	}
	if n := r.dns.Queries("_ischedules._tcp.uk", dns.TypeSRV); n != 0 {
		t.Error("a name above the public suffix was asked")
	}
}

// Proves: IS-DISC-6
func TestNeverPlainHTTPNorTheOldLabel(t *testing.T) {
	r := newRig(t, func(_ *discovery.Config, c *netguard.Config) { c.BackendCIDRs = c.PeerCIDRs })
	r.zone("_ischedule._tcp.peer.test. IN SRV 0 1 8080 cal.peer.test.", address("cal.peer.test", "127.0.0.1"))
	if _, err := r.disc.Find(t.Context(), "peer.test", nil); !errors.Is(err, discovery.ErrNoService) {
		t.Errorf("err = %v", err)
	}
	if n := r.dns.Queries("_ischedule._tcp.peer.test", dns.TypeSRV); n != 0 {
		t.Error("the old label was asked for")
	}
	var asked atomic.Bool
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	t.Cleanup(plain.Close)
	for _, endpoint := range []string{plain.URL + "/ischedule", "http://cal.peer.test/ischedule", "ftp://x", "https://", "https://u:p@cal.peer.test/", "://"} {
		if _, err := r.disc.Find(t.Context(), "peer.test", &snapshot.Outbound{Endpoint: endpoint}); err == nil {
			t.Errorf("endpoint %s was taken", endpoint)
		}
	}
	if asked.Load() {
		t.Error("plain http was spoken")
	}
}

// Proves: IS-DISC-7, IS-DISC-10
func TestTheWellKnownURIOfADomainWithoutSRV(t *testing.T) {
	r := newRig(t)
	r.zone(address("peer.test", "10.1.2.3"))
	if _, err := r.disc.Find(t.Context(), "peer.test", nil); !errors.Is(err, discovery.ErrNoService) {
		t.Errorf("off by default: err = %v", err)
	}
	if n := r.dns.Queries("peer.test", dns.TypeA); n != 0 {
		t.Error("the host was looked up")
	}

	on := func(c *discovery.Config, _ *netguard.Config) { c.Options.WellKnown = true }
	r = newRig(t, on)
	p := r.peer(host("peer.test"), serving("/.well-known/ischedule"))
	port, _ := strconv.ParseUint(p.port, 10, 16)
	r.disc.UseWellKnownPort(uint16(port))
	r.zone(address("peer.test", "127.0.0.1"))
	if got := r.find("peer.test"); got.Source != "well-known" || got.URL != "https://peer.test:"+p.port+"/.well-known/ischedule" {
		t.Errorf("%+v", got)
	}

	for code, want := range map[int]error{404: discovery.ErrNoService, 200: discovery.ErrNoService, 503: discovery.ErrTemporary} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			r := newRig(t, on)
			p := r.peer(host("peer.test"), status(code))
			port, _ := strconv.ParseUint(p.port, 10, 16)
			r.disc.UseWellKnownPort(uint16(port))
			r.zone(address("peer.test", "127.0.0.1"))
			for range 2 {
				if _, err := r.disc.Find(t.Context(), "peer.test", nil); !errors.Is(err, want) {
					t.Errorf("err = %v, want %v", err, want)
				}
			}
			if n := len(p.requests()); (n == 1) != errors.Is(want, discovery.ErrNoService) {
				t.Errorf("asked %d times", n)
			}
			r.advance(2 * time.Hour)
			before := len(p.requests())
			_, _ = r.disc.Find(t.Context(), "peer.test", nil)
			if n := len(p.requests()); n != before+1 {
				t.Errorf("two hours later: asked %d times, want once", n-before)
			}
		})
	}
	for name, addr := range map[string]string{"an address that is refused": "10.1.2.3", "nothing there": "127.9.9.9"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, on)
			r.zone("peer.test. 1 IN A " + addr)
			for range 3 {
				if _, err := r.disc.Find(t.Context(), "peer.test", nil); !errors.Is(err, discovery.ErrNoService) {
					t.Errorf("err = %v", err)
				}
				r.advance(2 * time.Second) // the address is not what is cached
			}
			if n := r.dns.Queries("peer.test", dns.TypeA); n != 1 {
				t.Errorf("a miss was tried %d times, want once", n)
			}
			r.advance(2 * time.Hour)
			_, _ = r.disc.Find(t.Context(), "peer.test", nil)
			if n := r.dns.Queries("peer.test", dns.TypeA); n != 2 {
				t.Errorf("a miss is kept for ever (%d)", n)
			}
		})
	}

	r = newRig(t, on)
	r.zone()
	r.dns.Fail("peer.test", dns.RcodeServerFailure)
	for range 2 {
		if _, err := r.disc.Find(t.Context(), "peer.test", nil); !errors.Is(err, discovery.ErrTemporary) {
			t.Errorf("err = %v, want ErrTemporary", err)
		}
	}
	if n := r.dns.Queries("peer.test", dns.TypeA); n != 2 {
		t.Errorf("DNS trouble was kept as a miss (%d)", n)
	}
}

// Proves: IS-DISC-8, IS-SEND-6
func TestDNSTroubleIsTemporary(t *testing.T) {
	r := newRig(t, func(c *discovery.Config, _ *netguard.Config) {
		c.Options = snapshot.Discovery{ParentDomains: true, WellKnown: true}
	})
	p := r.peer(host("cal.peer.test"), serving("/.well-known/ischedule"))
	r.zone(srv("peer.test", 0, "cal.peer.test", p.port), address("cal.peer.test", "127.0.0.1"))
	for _, name := range []string{"_ischedules._tcp.peer.test", "cal.peer.test"} {
		r.dns.Fail(name, dns.RcodeServerFailure)
		if _, err := r.disc.Find(t.Context(), "peer.test", nil); !errors.Is(err, discovery.ErrTemporary) || errors.Is(err, discovery.ErrNoService) {
			t.Errorf("%s: err = %v, want ErrTemporary", name, err)
		}
		r.dns.Fail(name, dns.RcodeSuccess)
	}
	r.find("peer.test")

	// The SRV record is known, but where on that host it leads is not.
	r = newRig(t, func(c *discovery.Config, _ *netguard.Config) { c.DNS = noTXT{c.DNS} })
	r.zone(srv("peer.test", 0, "cal.peer.test", p.port), address("cal.peer.test", "127.0.0.1"))
	if _, err := r.disc.Find(t.Context(), "peer.test", nil); !errors.Is(err, discovery.ErrTemporary) || errors.Is(err, discovery.ErrNoService) {
		t.Errorf("TXT: err = %v, want ErrTemporary", err)
	}
}

// noTXT is a DNS that answers everything but TXT.
type noTXT struct{ discovery.DNS }

func (noTXT) LookupTXT(context.Context, string) ([][]string, resolver.Answer, error) {
	return nil, resolver.Answer{}, resolver.ErrTemporary
}

// Proves: IS-DISC-10
func TestWhatIsDiscoveredIsAPeerAndWhatIsConfiguredABackEnd(t *testing.T) {
	only := func(peers, backends []netip.Prefix) func(*discovery.Config, *netguard.Config) {
		return func(_ *discovery.Config, g *netguard.Config) { g.PeerCIDRs, g.BackendCIDRs = peers, backends }
	}
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	tests := []struct {
		name             string
		change           func(*discovery.Config, *netguard.Config)
		found, endpoints bool
	}{
		{"neither", only(nil, nil), false, false},
		{"peers", only(loopback, nil), true, false},
		{"back ends", only(nil, loopback), false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.change)
			p := r.peer(host("cal.peer.test"), serving("/.well-known/ischedule"))
			r.zone(srv("peer.test", 0, "cal.peer.test", p.port), address("cal.peer.test", "127.0.0.1"))
			configured := &snapshot.Outbound{Endpoint: "https://cal.peer.test:" + p.port + "/.well-known/ischedule"}
			for out, ok := range map[*snapshot.Outbound]bool{nil: tt.found, configured: tt.endpoints} {
				_, err := r.disc.Find(t.Context(), "peer.test", out)
				var refused *netguard.RefusedError
				if (err == nil) != ok || (err != nil && !errors.As(err, &refused)) {
					t.Errorf("configured %v: err = %v, want ok = %v", out != nil, err, ok)
				}
				if err != nil && (errors.Is(err, discovery.ErrNoService) || errors.Is(err, discovery.ErrTemporary)) {
					t.Errorf("refused is neither absent nor temporary: %v", err)
				}
			}
		})
	}
}

// Proves: IS-DISC-9
func TestAConfiguredEndpointSkipsDNS(t *testing.T) {
	r := newRig(t, func(_ *discovery.Config, g *netguard.Config) { g.BackendCIDRs = g.PeerCIDRs })
	p := r.peer(host("cal.peer.test"), serving("/x"))
	r.zone(address("cal.peer.test", "127.0.0.1"))
	got, err := r.disc.Find(t.Context(), "peer.test", &snapshot.Outbound{Endpoint: "https://CAL.peer.test:" + p.port + "/x"})
	if err != nil || got.Source != "policy" {
		t.Errorf("%+v %v", got, err)
	}
	if n := r.dns.Queries("_ischedules._tcp.peer.test", dns.TypeSRV); n != 0 {
		t.Error("DNS was asked for the service")
	}
}
