package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
)

const zone = `
$TTL 600
example.com.                    IN SOA ns.example.com. admin.example.com. 1 7200 900 86400 120
_ischedules._tcp.example.com.   IN SRV 10 5 8443 Cal.Example.COM.
_ischedules._tcp.example.com.   IN SRV 20 0 443 backup.example.com.
_ischedules._tcp.example.com.   IN TXT "path=/ischedule" "a;b\"c\\d"
_ischedules._tcp.example.com.   IN TXT "second"
none.example.com.               IN SRV 0 0 0 .
cal.example.com.                IN A 192.0.2.1
cal.example.com.                IN A 192.0.2.2
cal.example.com.                IN AAAA 2001:db8::1
alias.example.com.          60  IN CNAME cal.example.com.
out.example.com.            60  IN CNAME in.elsewhere.test.
dead.example.com.               IN CNAME gone.example.com.
loop-a.example.com.             IN CNAME loop-b.example.com.
loop-b.example.com.             IN CNAME loop-a.example.com.
long.example.com.      172800   IN TXT "kept a day"
short.example.com.          60  IN CNAME long.example.com.
never.example.com.      0       IN TXT "not kept"
bare.test.                      IN TXT "a zone without SOA"
`

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func start(t *testing.T, text string) (*dnstest.Server, *resolver.Client, *clock) {
	t.Helper()
	s, err := dnstest.New(text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	clk := &clock{now: time.Unix(1_800_000_000, 0)}
	return s, resolver.New(resolver.Config{Server: s.Addr(), Now: clk.Now}), clk
}

func TestLookupSRV(t *testing.T) {
	_, c, _ := start(t, zone)
	got, a, err := c.LookupSRV(t.Context(), "_ischedules._tcp.EXAMPLE.com")
	if err != nil {
		t.Fatal(err)
	}
	want := []resolver.SRV{
		{Target: "cal.example.com", Port: 8443, Priority: 10, Weight: 5},
		{Target: "backup.example.com", Port: 443, Priority: 20},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if a.TTL != 10*time.Minute || a.Secure {
		t.Errorf("answer = %+v, want 10 min, not secure", a)
	}
	got, _, err = c.LookupSRV(t.Context(), "none.example.com")
	if d := cmp.Diff([]resolver.SRV{{}}, got); d != "" || err != nil {
		t.Errorf("the root as target reads as an empty name: %v %s", err, d)
	}
}

func TestLookupTXTGivesOctetsAsPublished(t *testing.T) {
	_, c, _ := start(t, zone)
	got, _, err := c.LookupTXT(t.Context(), "_ischedules._tcp.example.com.")
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"path=/ischedule", `a;b"c\d`}, {"second"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Proves: IS-DISC-8
func TestAnswersAreCachedForTheirTTL(t *testing.T) {
	tests := []struct {
		name    string
		owner   string
		ttl     time.Duration // first answer's
		queries int           // after asking at 0, just before the TTL ends, and then
	}{
		{"a positive answer for its TTL", "_ischedules._tcp.example.com", 600 * time.Second, 2},
		{"no such name for the SOA minimum", "gone.example.com", 120 * time.Second, 2},
		{"no such type for the SOA minimum", "cal.example.com", 120 * time.Second, 2},
		{"a TTL of two days for one", "long.example.com", 24 * time.Hour, 2},
		{"an alias for its own TTL, when that is shorter", "short.example.com", 60 * time.Second, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, c, clk := start(t, zone)
			ask := func(want time.Duration) {
				t.Helper()
				_, a, err := c.LookupTXT(t.Context(), tt.owner)
				if err != nil {
					t.Fatal(err)
				}
				if a.TTL != want {
					t.Errorf("remaining TTL = %v, want %v", a.TTL, want)
				}
			}
			ask(tt.ttl)
			clk.advance(tt.ttl - time.Second)
			ask(time.Second)
			if n := s.Queries(tt.owner, dns.TypeTXT); n != 1 {
				t.Errorf("%d queries while the answer was fresh, want 1", n)
			}
			clk.advance(time.Second)
			ask(tt.ttl)
			if n := s.Queries(tt.owner, dns.TypeTXT); n != 2 {
				t.Errorf("%d queries after the answer expired, want 2", n)
			}
		})
	}
}

// Proves: IS-DISC-8
func TestNegativeAnswersAreBounded(t *testing.T) {
	long := strings.Replace(zone, "86400 120", "86400 86400", 1)
	s, c, clk := start(t, strings.Replace(long, "$TTL 600", "$TTL 90000", 1))
	_, a, err := c.LookupTXT(t.Context(), "gone.example.com")
	if err != nil || a.TTL != 5*time.Minute {
		t.Errorf("negative TTL = %v, %v, want 5 min at most", a.TTL, err)
	}
	clk.advance(5 * time.Minute)
	if _, _, err = c.LookupTXT(t.Context(), "gone.example.com"); err != nil {
		t.Fatal(err)
	}
	if n := s.Queries("gone.example.com", dns.TypeTXT); n != 2 {
		t.Errorf("%d queries, want 2", n)
	}
	_, c, _ = start(t, strings.Replace(zone, "IN SOA", "60 IN SOA", 1))
	if _, a, err = c.LookupTXT(t.Context(), "gone.example.com"); err != nil || a.TTL != time.Minute {
		t.Errorf("negative TTL = %v, %v, want that of the SOA itself, which is shorter than its minimum", a.TTL, err)
	}
}

// Proves: IS-DISC-8
func TestWhatMayNotBeCachedIsNot(t *testing.T) {
	for _, owner := range []string{"never.example.com", "missing.bare.test"} {
		s, c, _ := start(t, zone)
		for range 2 {
			if _, a, err := c.LookupTXT(t.Context(), owner); err != nil || a.TTL != 0 {
				t.Errorf("%s: %+v %v", owner, a, err)
			}
		}
		if n := s.Queries(owner, dns.TypeTXT); n != 2 {
			t.Errorf("%s: %d queries, want 2", owner, n)
		}
	}
}

// Proves: IS-DISC-8
func TestTruncatedAnswersAreAskedAgainByTCP(t *testing.T) {
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, "big.example.com. IN TXT \"%03d %s\"\n", i, strings.Repeat("x", 100))
	}
	s, c, _ := start(t, b.String())
	got, _, err := c.LookupTXT(t.Context(), "big.example.com")
	if err != nil || len(got) != 40 {
		t.Fatalf("%d records, %v; want 40", len(got), err)
	}
	if n := s.TCPQueries("big.example.com", dns.TypeTXT); n != 1 {
		t.Errorf("%d questions by TCP, want 1", n)
	}
}

// Proves: IS-DISC-8
func TestFailuresAreTemporary(t *testing.T) {
	tests := []struct {
		name  string
		rcode int
	}{
		{"SERVFAIL", dns.RcodeServerFailure},
		{"REFUSED", dns.RcodeRefused},
		{"FORMERR", dns.RcodeFormatError},
		{"silence", -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _, _ := start(t, zone)
			c := resolver.New(resolver.Config{Server: s.Addr(), Timeout: 50 * time.Millisecond})
			const owner = "_ischedules._tcp.example.com"
			s.Fail(owner, tt.rcode)
			if _, _, err := c.LookupSRV(t.Context(), owner); !errors.Is(err, resolver.ErrTemporary) {
				t.Errorf("err = %v, want ErrTemporary", err)
			}
			s.Fail(owner, dns.RcodeSuccess)
			if got, _, err := c.LookupSRV(t.Context(), owner); err != nil || len(got) != 2 {
				t.Errorf("a failure was kept: %v %v", got, err)
			}
		})
	}
}

// Proves: IS-DISC-8
func TestNonsenseIsTemporary(t *testing.T) {
	tests := []struct {
		name  string
		reply func(req []byte) []byte
	}{
		{"no DNS message", func(req []byte) []byte { return append(req[:2:2], "HTTP/1.1 200 OK"...) }},
		{"cut off", func(req []byte) []byte { return append(req[:2:2], 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0, 3, 'a') }},
		{"an echo of the question", func(req []byte) []byte { return req }},
		{"an answer about another name", answerTo("other.example.", dns.TypeTXT)},
		{"an answer about another type", answerTo("a.example.", dns.TypeA)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := resolver.New(resolver.Config{Server: rawServer(t, tt.reply), Timeout: time.Second})
			if _, _, err := c.LookupTXT(t.Context(), "a.example"); !errors.Is(err, resolver.ErrTemporary) {
				t.Errorf("err = %v, want ErrTemporary", err)
			}
		})
	}
}

// answerTo replies as if the question had been another.
func answerTo(name string, qtype uint16) func([]byte) []byte {
	return func(req []byte) []byte {
		var m dns.Msg
		_ = m.Unpack(req)
		other := new(dns.Msg).SetQuestion(name, qtype)
		other.Id, other.Response = m.Id, true
		out, _ := other.Pack()
		return out
	}
}

// rawServer answers each packet with whatever reply makes of it.
func rawServer(t *testing.T, reply func([]byte) []byte) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = pc.WriteTo(reply(buf[:n:n]), from)
		}
	}()
	t.Cleanup(func() { _ = pc.Close(); <-done })
	return pc.LocalAddr().String()
}

// Proves: IS-DISC-8
func TestTheNextServerIsAskedWhenOneFails(t *testing.T) {
	bad, _, _ := start(t, zone)
	silent, _, _ := start(t, zone)
	good, _, _ := start(t, zone)
	const owner = "long.example.com"
	bad.Fail(owner, dns.RcodeServerFailure)
	silent.Fail(owner, -1)
	c := resolver.New(resolver.Config{Timeout: 50 * time.Millisecond})
	c.UseServers(bad.Addr(), silent.Addr(), good.Addr())
	if got, _, err := c.LookupTXT(t.Context(), owner); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	for i, s := range []*dnstest.Server{bad, silent, good} {
		if n := s.Queries(owner, dns.TypeTXT); n != 1 {
			t.Errorf("server %d was asked %d times, want once", i, n)
		}
	}
}

func TestALostPacketIsAskedAgain(t *testing.T) {
	s, _, _ := start(t, zone)
	s.Fail("long.example.com", -1)
	c := resolver.New(resolver.Config{Server: s.Addr(), Timeout: 50 * time.Millisecond})
	_, _, err := c.LookupTXT(t.Context(), "long.example.com")
	if n := s.Queries("long.example.com", dns.TypeTXT); n != 2 {
		t.Errorf("asked %d times, want 2 (%v)", n, err)
	}
}

func TestAliases(t *testing.T) {
	s, c, _ := start(t, zone)
	addrs, err := c.LookupAddrs(t.Context(), "alias.example.com")
	if err != nil || len(addrs) != 3 {
		t.Errorf("an alias inside the zone: %v %v", addrs, err)
	}
	txt, a, err := c.LookupTXT(t.Context(), "dead.example.com")
	if err != nil || txt != nil || a.TTL != 120*time.Second {
		t.Errorf("an alias to nothing is nothing: %v %v %v", txt, a, err)
	}
	if _, _, err = c.LookupTXT(t.Context(), "loop-a.example.com"); !errors.Is(err, resolver.ErrTemporary) {
		t.Errorf("a loop: err = %v", err)
	}
	if err := s.Replace(zone + "in.elsewhere.test. 30 IN TXT \"far\"\n"); err != nil {
		t.Fatal(err)
	}
	txt, a, err = c.LookupTXT(t.Context(), "out.example.com")
	if d := cmp.Diff([][]string{{"far"}}, txt); d != "" || err != nil || a.TTL != 30*time.Second {
		t.Errorf("the shortest TTL of the chain counts: %v %v %s", a, err, d)
	}
}

func TestAnAliasTheServerDoesNotFollowIsFollowed(t *testing.T) {
	s, c, _ := start(t, "a.test. 60 IN CNAME b.other.\n")
	if _, _, err := c.LookupTXT(t.Context(), "a.test"); err != nil {
		t.Fatal(err)
	}
	if n := s.Queries("b.other", dns.TypeTXT); n != 1 {
		t.Errorf("the target was asked for %d times, want once", n)
	}
}

func TestLookupAddrs(t *testing.T) {
	s, c, _ := start(t, zone+"v6.example.com. IN AAAA 2001:db8::6\n")
	addr := netip.MustParseAddr
	tests := []struct {
		name, host string
		want       []netip.Addr
	}{
		{"both families", "cal.example.com", []netip.Addr{addr("192.0.2.1"), addr("192.0.2.2"), addr("2001:db8::1")}},
		{"one family", "v6.example.com", []netip.Addr{addr("2001:db8::6")}},
		{"none", "gone.example.com", nil},
		{"an IPv4 literal", "192.0.2.7", []netip.Addr{addr("192.0.2.7")}},
		{"an IPv6 literal", "2001:db8::7", []netip.Addr{addr("2001:db8::7")}},
		{"localhost", "localhost", []netip.Addr{addr("127.0.0.1"), addr("::1")}},
		{"below localhost", "a.LOCALHOST.", []netip.Addr{addr("127.0.0.1"), addr("::1")}},
	}
	byText := cmpopts.SortSlices(func(a, b netip.Addr) bool { return a.Less(b) })
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := c.LookupAddrs(t.Context(), tt.host)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got, byText, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
				t.Error(d)
			}
		})
	}
	if s.Queries("localhost", dns.TypeA)+s.Queries("a.localhost", dns.TypeA) != 0 {
		t.Error("localhost was asked for in DNS")
	}
}

func TestAddressesNeedBothFamiliesToBeNone(t *testing.T) {
	// An authority that answers A with nothing and fails for AAAA has not said that there is no address.
	reply := func(req []byte) []byte {
		var m dns.Msg
		_ = m.Unpack(req)
		resp := new(dns.Msg).SetReply(&m)
		if m.Question[0].Qtype == dns.TypeAAAA {
			resp.Rcode = dns.RcodeServerFailure
		}
		out, _ := resp.Pack()
		return out
	}
	c := resolver.New(resolver.Config{Server: rawServer(t, reply)})
	if _, err := c.LookupAddrs(t.Context(), "half.example"); !errors.Is(err, resolver.ErrTemporary) {
		t.Errorf("err = %v, want ErrTemporary", err)
	}
}

func TestSystemResolver(t *testing.T) {
	c := resolver.New(resolver.Config{})
	addrs, err := c.LookupAddrs(t.Context(), "localhost")
	if err != nil || len(addrs) != 2 {
		t.Errorf("%v %v", addrs, err)
	}

	file := filepath.Join(t.TempDir(), "resolv.conf")
	if _, err := resolver.SystemServers(file); !errors.Is(err, resolver.ErrTemporary) {
		t.Errorf("no file: %v", err)
	}
	for text, want := range map[string][]string{
		"search corp.example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n": {"192.0.2.53:53", "[2001:db8::53]:53"},
		"# nothing\n": nil,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := resolver.SystemServers(file)
		if d := cmp.Diff(want, got); d != "" || (want == nil) != errors.Is(err, resolver.ErrTemporary) {
			t.Errorf("%v %s", err, d)
		}
	}
}

// Proves: IS-DISC-8
func TestTheADBitCountsFromLoopbackOnly(t *testing.T) {
	s, c, clk := start(t, zone)
	s.SetSecure(true)
	_, a, err := c.LookupSRV(t.Context(), "_ischedules._tcp.example.com")
	if err != nil || !a.Secure {
		t.Errorf("loopback: %+v %v, want secure", a, err)
	}
	s.SetSecure(false)
	if _, a, _ = c.LookupSRV(t.Context(), "_ischedules._tcp.example.com"); !a.Secure {
		t.Error("the cache forgot that the answer was secure")
	}
	clk.advance(time.Hour)
	if _, a, _ = c.LookupSRV(t.Context(), "_ischedules._tcp.example.com"); a.Secure {
		t.Error("secure without the AD bit")
	}

	// 0.0.0.0 leads to this host as well, but it is no loopback address: it stands for a resolver elsewhere.
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	s.SetSecure(true)
	c = resolver.New(resolver.Config{Server: net.JoinHostPort("0.0.0.0", port)})
	if _, a, err = c.LookupTXT(t.Context(), "long.example.com"); err != nil || a.Secure {
		t.Errorf("a server elsewhere: %+v %v, want not secure", a, err)
	}
}

func TestNamesAreCheckedBeforeAnythingIsAsked(t *testing.T) {
	s, c, _ := start(t, zone)
	for _, name := range []string{
		"", ".", "a..b", ".a", strings.Repeat("a", 64) + ".example", strings.Repeat("abcdefg.", 32) + "example",
		"a b.example", `a\.b.example`, "ü.example", "a\x00.example", "a/b",
	} {
		if _, _, err := c.LookupSRV(t.Context(), name); !errors.Is(err, resolver.ErrName) {
			t.Errorf("%q: err = %v, want ErrName", name, err)
		}
		if _, err := c.LookupAddrs(t.Context(), name); !errors.Is(err, resolver.ErrName) {
			t.Errorf("%q: err = %v, want ErrName", name, err)
		}
		if n := s.Queries(name, dns.TypeSRV); n != 0 {
			t.Errorf("%q was asked for", name)
		}
	}
}

// Proves: IS-DISC-8
func TestTheCacheIsBounded(t *testing.T) {
	var b strings.Builder
	const names = 200
	for i := range names {
		fmt.Fprintf(&b, "n%d.test. IN TXT \"x\"\n", i)
	}
	s, err := dnstest.New(b.String())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const bound = 20
	c := resolver.New(resolver.Config{Server: s.Addr(), MaxEntries: bound})
	for range 2 {
		for i := range names {
			if _, _, err := c.LookupTXT(t.Context(), fmt.Sprintf("n%d.test", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	asked := 0
	for i := range names {
		asked += s.Queries(fmt.Sprintf("n%d.test", i), dns.TypeTXT)
	}
	if asked < 2*names-2*bound {
		t.Errorf("%d questions for %d names asked twice: more than %d were kept", asked, names, 2*bound)
	}
}

func TestAContextThatEnded(t *testing.T) {
	_, c, _ := start(t, zone)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := c.LookupTXT(ctx, "long.example.com")
	if !errors.Is(err, context.Canceled) || !errors.Is(err, resolver.ErrTemporary) {
		t.Errorf("err = %v", err)
	}
}
