package discovery_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
)

// rig is a world of its own: a DNS server, a CA that is trusted, and a Discoverer that may go to loopback.
type rig struct {
	t    *testing.T
	dns  *dnstest.Server
	ca   *catest.CA
	disc *discovery.Discoverer

	mu  sync.Mutex
	now time.Time
}

func newRig(t *testing.T, change ...func(*discovery.Config, *netguard.Config)) *rig {
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
	r := &rig{t: t, dns: dns, ca: ca, now: time.Unix(1_800_000_000, 0)}
	client := resolver.New(resolver.Config{Server: dns.Addr(), Now: r.clock})
	guard := netguard.Config{
		PeerCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Roots:     ca.Pool(), Resolver: client,
	}
	cfg := discovery.Config{DNS: client, Now: r.clock, UserAgent: "calfed/test", Rand: func(int) int { return 0 }}
	for _, f := range change {
		f(&cfg, &guard)
	}
	cfg.Guard = netguard.New(guard)
	r.disc = discovery.New(cfg)
	t.Cleanup(r.disc.Close)
	return r
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// zone replaces the zone; lines are printf arguments for the ports in them.
func (r *rig) zone(lines ...string) {
	r.t.Helper()
	const soa = "test. 3600 IN SOA ns.test. admin.test. 1 7200 900 86400 60\n"
	if err := r.dns.Replace("$TTL 3600\n" + soa + strings.Join(lines, "\n") + "\n"); err != nil {
		r.t.Fatal(err)
	}
}

// srv is an SRV record of domain's iSchedule service.
func srv(domain string, priority int, host string, port string) string {
	return fmt.Sprintf("_ischedules._tcp.%s. IN SRV %d 1 %s %s.", domain, priority, port, host)
}

func address(host, addr string) string { return fmt.Sprintf("%s. IN A %s", host, addr) }

// exchange is what a peer saw of one request.
type exchange struct {
	Method, URL, Authorization, ClientCert, Body string
}

// peer is a TLS server with a record of what it was asked.
type peer struct {
	port string
	srv  *httptest.Server

	mu   sync.Mutex
	seen []exchange
}

// peer starts a server with a certificate for the leaf.
func (r *rig) peer(leaf catest.Leaf, h http.HandlerFunc) *peer {
	r.t.Helper()
	cert, err := r.ca.Issue(leaf)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.peerWith(cert, h)
}

func (r *rig) peerWith(cert tls.Certificate, h http.HandlerFunc) *peer {
	r.t.Helper()
	p := &peer{}
	p.srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		e := exchange{Method: req.Method, URL: req.URL.String(), Authorization: req.Header.Get("Authorization")}
		if len(req.TLS.PeerCertificates) > 0 {
			e.ClientCert = req.TLS.PeerCertificates[0].DNSNames[0]
		}
		body, _ := io.ReadAll(req.Body)
		e.Body = string(body)
		p.mu.Lock()
		p.seen = append(p.seen, e)
		p.mu.Unlock()
		h(w, req)
	}))
	p.srv.TLS = &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: r.ca.Pool(),
	}
	p.srv.EnableHTTP2 = true
	p.srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.srv.StartTLS()
	// The client's connections first: a server waits for them.
	r.t.Cleanup(func() { r.disc.Close(); p.srv.Close() })
	p.port = p.srv.URL[strings.LastIndex(p.srv.URL, ":")+1:]
	return p
}

func (p *peer) requests() []exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]exchange(nil), p.seen...)
}

// host is a leaf for one name.
func host(name string) catest.Leaf { return catest.Leaf{DNS: []string{name}} }

// document is a capabilities document with a serial.
func document(serial uint64) []byte {
	return (&ischedule.Capabilities{
		Serial: serial, Versions: []string{"1.0"}, MaxRecipients: 10,
		Messages:  []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST", "REPLY"}}},
		DataTypes: []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
	}).Marshal()
}

// serving answers requests for capabilities at path with serial 7, and POSTs there with 200; all else with 404.
func serving(path string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("iSchedule-Capabilities", "7")
		switch {
		case r.URL.Path != path:
			http.NotFound(w, r)
		case r.Method == http.MethodPost:
			_, _ = io.WriteString(w, "posted")
		case r.URL.RawQuery != "action=capabilities":
			http.Error(w, "no action", http.StatusBadRequest)
		default:
			w.Header().Set("Content-Type", "application/xml")
			_, _ = w.Write(document(7))
		}
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// find expects a receiver.
func (r *rig) find(domain string) *discovery.Receiver {
	r.t.Helper()
	got, err := r.disc.Find(r.t.Context(), domain, nil)
	if err != nil {
		r.t.Fatalf("Find(%s): %v", domain, err)
	}
	return got
}
