package keys_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/keys"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a DNS server, a CA, and a Lookup that sees nothing else, with a clock that tests move.
type world struct {
	*keys.Lookup
	t   testing.TB
	dns *dnstest.Server
	ca  *catest.CA

	mu  sync.Mutex
	now time.Time
}

const hosts = `
$TTL 600
sender.test.      IN SOA ns.sender.test. admin.sender.test. 1 7200 900 86400 600
keys.sender.test. IN A 127.0.0.1
gone.sender.test. IN A 127.0.0.1
far.sender.test.  IN A 10.1.2.3
sender.test.      IN A 127.0.0.1
`

func newWorld(t testing.TB, zone string) *world {
	t.Helper()
	ca, err := catest.New()
	if err != nil {
		t.Fatal(err)
	}
	return newWorldWith(t, zone, ca)
}

func newWorldWith(t testing.TB, zone string, ca *catest.CA) *world {
	t.Helper()
	server, err := dnstest.New(hosts + zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	w := &world{t: t, dns: server, ca: ca, now: time.Now()}
	client := resolver.New(resolver.Config{Server: server.Addr(), Now: w.Now, Timeout: time.Second})
	w.Lookup = keys.New(keys.Config{
		DNS: client,
		Now: w.Now,
		Guard: netguard.New(netguard.Config{
			PeerCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			Roots:     ca.Pool(),
			Resolver:  client,
		}),
	})
	t.Cleanup(w.Close)
	return w
}

func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// replace puts another zone in place.
func (w *world) replace(zone string) {
	w.t.Helper()
	if err := w.dns.Replace(hosts + zone); err != nil {
		w.t.Fatal(err)
	}
}

// keyServer starts an HTTPS server with a certificate for the names.
func (w *world) keyServer(h http.HandlerFunc, leaf catest.Leaf) *httptest.Server {
	w.t.Helper()
	cert, err := w.ca.Issue(leaf)
	if err != nil {
		w.t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	w.t.Cleanup(s.Close)
	return s
}

var goodLeaf = catest.Leaf{DNS: []string{"keys.sender.test"}}

// srv is the record that leads to the server.
func srv(priority int, host string, s *httptest.Server) string {
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return fmt.Sprintf("_domainkey_lookup._tcp.sender.test. 600 IN SRV %d 0 %s %s.\n", priority, port, host)
}

func document(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, text)
	}
}

// record is a new key record.
func record(t testing.TB) string {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := dkim.FormatRecord(pub, false)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// keyed says whether the found records are these, in any order.
func keyed(t testing.TB, found *keys.Found, records ...string) bool {
	t.Helper()
	if found == nil || len(found.Records) != len(records) {
		return false
	}
	for _, text := range records {
		want, err := dkim.ParseRecord(text)
		if err != nil {
			t.Fatal(err)
		}
		ok := false
		for _, got := range found.Records {
			ok = ok || want.Public.(ed25519.PublicKey).Equal(got.Public)
		}
		if !ok {
			return false
		}
	}
	return true
}

// txt is a TXT record at the selector of the tests.
func txt(ttl int, strs ...string) string {
	return fmt.Sprintf("sel._domainkey.sender.test. %d IN TXT \"%s\"\n", ttl, strings.Join(strs, `" "`))
}

func request(query ...string) keys.Request {
	return keys.Request{Domain: "sender.test", Selector: "sel", Query: query}
}

func (w *world) find(req keys.Request) (*keys.Found, error) {
	w.t.Helper()
	return w.Find(w.t.Context(), req)
}

// asked is how many TXT questions came for the selector of the tests.
func (w *world) asked() int { return w.dns.Queries("sel._domainkey.sender.test", dns.TypeTXT) }

// class names the sentinel of an error; an error without one fails the test.
func class(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var all []string
	for name, sentinel := range map[string]error{
		"temporary": keys.ErrTemporary, "not found": keys.ErrNotFound, "revoked": keys.ErrRevoked, "method": keys.ErrMethod,
	} {
		if errors.Is(err, sentinel) {
			all = append(all, name)
		}
	}
	if len(all) != 1 {
		t.Fatalf("error %v is %v", err, all)
	}
	return all[0]
}
