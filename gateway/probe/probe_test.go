package probe_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/probe"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
	"github.com/calfed/calfed/gateway/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a domain that can be broken in one place: "peer.example", served by gw.peer.example on loopback.
type world struct {
	t       *testing.T
	ca      *catest.CA
	dns     *dnstest.Server
	port    string
	guard   netguard.Config
	options snapshot.Discovery
	now     func() time.Time

	leaf    catest.Leaf
	endsIn  time.Duration // of the certificate; 0 = it has its whole life before it
	handler http.HandlerFunc
	zone    []string
	target  probe.Target
}

const key = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

func newWorld(t *testing.T, change func(*world)) *world {
	t.Helper()
	ca, err := catest.New()
	if err != nil {
		t.Fatal(err)
	}
	dns, err := dnstest.New("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	w := &world{
		t: t, ca: ca, dns: dns, port: port,
		guard: netguard.Config{PeerCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		leaf:  catest.Leaf{DNS: []string{"gw.peer.example"}},
		zone: []string{
			"_ischedules._tcp.peer.example. IN SRV 0 1 " + port + " gw.peer.example.",
			"gw.peer.example. IN A 127.0.0.1",
			"one._domainkey.peer.example. IN TXT \"" + key + "\"",
		},
		handler: receiver,
		target: probe.Target{Domain: "peer.example", Keys: []probe.Key{
			{Domain: "peer.example", Selector: "one", Record: key, Methods: []string{dkim.MethodDNS}},
		}},
	}
	if change != nil {
		change(w)
	}
	cert, err := ca.Issue(w.leaf)
	if err != nil {
		t.Fatal(err)
	}
	if w.endsIn > 0 {
		leaf, err := x509.ParseCertificate(cert.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		at := leaf.NotAfter.Add(-w.endsIn)
		w.now = func() time.Time { return at }
	}
	server := httptest.NewUnstartedServer(w.handler)
	_ = server.Listener.Close()
	server.Listener = ln
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	const soa = "example. 3600 IN SOA ns.example. admin.example. 1 7200 900 86400 60\n"
	if err := dns.Replace("$TTL 3600\n" + soa + strings.Join(w.zone, "\n") + "\n"); err != nil {
		t.Fatal(err)
	}
	return w
}

// drop removes the records that hold text.
func (w *world) drop(text string) {
	var kept []string
	for _, line := range w.zone {
		if !strings.Contains(line, text) {
			kept = append(kept, line)
		}
	}
	w.zone = kept
}

func (w *world) probe() *probe.Report {
	w.t.Helper()
	return w.probeIn(context.Background())
}

func (w *world) probeIn(ctx context.Context) *probe.Report {
	w.t.Helper()
	client := resolver.New(resolver.Config{Server: w.dns.Addr(), Timeout: 2 * time.Second})
	guard := w.guard
	guard.Roots, guard.Resolver = w.ca.Pool(), client
	p := probe.New(probe.Config{DNS: client, Guard: netguard.New(guard), Roots: w.ca.Pool(), Options: w.options, UserAgent: "calfed/test", Now: w.now})
	return p.Probe(ctx, w.target)
}

func document() []byte {
	c := ischedule.Capabilities{
		Serial: 7, Versions: []string{ischedule.Version},
		Messages:  []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST", "REPLY", "CANCEL"}}},
		DataTypes: []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
	}
	return c.Marshal()
}

// receiver is one as it should be.
func receiver(w http.ResponseWriter, req *http.Request) {
	switch {
	case req.URL.Path != ischedule.WellKnownPath:
		http.NotFound(w, req)
	case req.Method == http.MethodGet:
		ischedule.WriteDocument(w, http.StatusOK, document())
	default:
		ischedule.NewError(ischedule.VerificationFailed, "signature-missing", "no signature").Write(w)
	}
}

// credulous takes unsigned messages at a path, and is receiver elsewhere.
func credulous(path string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.URL.Path != path:
			receiver(w, req)
		case req.Method == http.MethodGet:
			ischedule.WriteDocument(w, http.StatusOK, document())
		default:
			(&ischedule.Response{Results: []ischedule.RecipientResult{{Recipient: "mailto:x@peer.example", Status: ischedule.StatusUnknownUser}}}).Write(w)
		}
	}
}

// Proves: IS-DISC-2, IS-DISC-3, IS-DISC-9, IS-DISC-10, IS-DKIM-10
func TestEveryMistakeIsNamed(t *testing.T) {
	const otherKey = "v=DKIM1; k=ed25519; p=PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
	for name, tc := range map[string]struct {
		change  func(*world)
		word    string
		step    string // the first one that is not OK, without what varies
		verdict probe.Verdict
		cause   string
	}{
		"nothing is wrong":    {nil, probe.Healthy, "", "", ""},
		"no SRV record":       {func(w *world) { w.drop("SRV") }, probe.Absent, "srv", probe.Failed, "calfed dns"},
		"target is the root":  {func(w *world) { w.zone[0] = "_ischedules._tcp.peer.example. IN SRV 0 0 0 ." }, probe.Absent, "srv", probe.Failed, "RFC 2782"},
		"the old label only":  {func(w *world) { w.zone[0] = strings.Replace(w.zone[0], "_ischedules", "_ischedule", 1) }, probe.Broken, "srv", probe.Failed, "_ischedules._tcp"},
		"DNS leads elsewhere": {func(w *world) { w.target.Host = "new.peer.example" }, probe.Broken, "srv", probe.Failed, "elsewhere"},
		"path is relative": {func(w *world) {
			w.zone = append(w.zone, `_ischedules._tcp.peer.example. IN TXT "path=calendar"`)
		}, probe.Degraded, "txt", probe.Warning, "absolute path"},
		"the host has no address": {func(w *world) { w.drop(" A ") }, probe.Broken, "address", probe.Failed, "neither A nor AAAA"},
		"a private address":       {func(w *world) { w.guard.PeerCIDRs = nil }, probe.Broken, "address", probe.Failed, "public address"},
		"a private address beside a public one": {func(w *world) {
			w.zone = append(w.zone, "gw.peer.example. IN A 10.0.0.1")
		}, probe.Degraded, "address", probe.Warning, "remove them"},
		"the certificate is for another name":    {func(w *world) { w.leaf.DNS = []string{"www.peer.example"} }, probe.Broken, "tls", probe.Failed, "another name"},
		"the certificate has expired":            {func(w *world) { w.leaf.Expired = true }, probe.Broken, "tls", probe.Failed, "expired"},
		"the certificate expires soon":           {func(w *world) { w.endsIn = 4 * time.Hour }, probe.Degraded, "tls", probe.Warning, "near its end"},
		"the web server does not know iSchedule": {func(w *world) { w.handler = http.NotFound }, probe.Broken, "capabilities", probe.Failed, "route"},
		"it takes no invitations": {func(w *world) {
			c := ischedule.Capabilities{Serial: 1, Versions: []string{"1.0"}, Messages: []ischedule.Component{{Name: "VFREEBUSY"}}}
			w.handler = func(rw http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodGet && req.URL.Path == ischedule.WellKnownPath {
					ischedule.WriteDocument(rw, http.StatusOK, c.Marshal())
					return
				}
				receiver(rw, req)
			}
		}, probe.Degraded, "capabilities", probe.Warning, "VEVENT REQUEST"},
		"it takes unsigned messages":              {func(w *world) { w.handler = credulous(ischedule.WellKnownPath) }, probe.Broken, "unsigned", probe.Failed, "anybody"},
		"its calendar server takes unsigned ones": {func(w *world) { w.handler = credulous("/ischedule") }, probe.Broken, "back end", probe.Failed, "anybody"},
		"no key": {func(w *world) { w.drop("_domainkey") }, probe.Broken, "key", probe.Failed, "TXT record"},
		"another key": {func(w *world) {
			w.zone[2] = strings.Replace(w.zone[2], key, otherKey, 1)
		}, probe.Broken, "key", probe.Failed, "another key"},
		"a key that is revoked":    {func(w *world) { w.zone[2] = `one._domainkey.peer.example. IN TXT "v=DKIM1; p="` }, probe.Broken, "key", probe.Failed, "new selector"},
		"a key on trial":           {func(w *world) { w.zone[2] = strings.Replace(w.zone[2], "k=", "t=y; k=", 1) }, probe.Broken, "key", probe.Failed, "t=y"},
		"a key for calendars only": {func(w *world) { w.zone[2] = strings.Replace(w.zone[2], "k=", "s=ischedule; k=", 1) }, probe.Degraded, "key", probe.Warning, "Cyrus"},
	} {
		t.Run(name, func(t *testing.T) {
			report := newWorld(t, tc.change).probe()
			if report.Word != tc.word {
				t.Errorf("the word is %s, want %s", report.Word, tc.word)
			}
			for _, s := range report.Steps {
				if s.Verdict == probe.OK {
					continue
				}
				first, _, _ := strings.Cut(s.Name, " ")
				if !strings.HasPrefix(s.Name, tc.step) || tc.step == "" || s.Verdict != tc.verdict || !strings.Contains(s.Cause, tc.cause) {
					t.Errorf("first trouble is %s (%s): %+v", first, s.Verdict, s)
				}
				return
			}
			if tc.step != "" {
				t.Errorf("everything is OK: %+v", report.Steps)
			}
		})
	}
}

func TestDNSThatDoesNotAnswerIsNoVerdict(t *testing.T) {
	w := newWorld(t, nil)
	w.dns.Fail("_ischedules._tcp.peer.example.", 2)
	if report := w.probe(); report.Word != probe.Unknown {
		t.Errorf("%+v", report)
	}
}

func TestATestThatWasEndedIsNoVerdict(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	w := newWorld(t, func(w *world) {
		w.handler = func(http.ResponseWriter, *http.Request) { cancel() }
	})
	report := w.probeIn(ctx)
	if last := report.Steps[len(report.Steps)-1]; report.Word != probe.Unknown || last.Name != "time" {
		t.Errorf("%+v", report)
	}
}

func TestAKeyOfAStrangerMayBePublishedEitherWay(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.target.Keys = []probe.Key{{Domain: "peer.example", Selector: "one"}}
	})
	var got []string
	for _, s := range w.probe().Steps {
		if strings.HasPrefix(s.Name, "key ") {
			got = append(got, fmt.Sprintf("%s: %s", s.Name, s.Verdict))
		}
	}
	want := []string{"key one of peer.example by dns/txt: ok", "key one of peer.example by http/well-known: skipped"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Keys alone: the receiver is left in peace.
func TestOnlyTheKeys(t *testing.T) {
	asked := false
	w := newWorld(t, func(w *world) {
		w.target.Domain = ""
		w.handler = func(http.ResponseWriter, *http.Request) { asked = true }
	})
	if r := w.probe(); r.Word != probe.Healthy || len(r.Steps) != 1 || asked {
		t.Errorf("%+v", r)
	}
}

func TestStrangersCannotWriteIntoTheTerminal(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.zone = append(w.zone, `_ischedules._tcp.peer.example. IN TXT "path=\027[2Jx"`)
	})
	for _, s := range w.probe().Steps {
		if strings.ContainsAny(s.Seen+s.Cause, "\x1b\n\r") {
			t.Errorf("%+q", s)
		}
	}
}
