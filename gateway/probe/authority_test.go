package probe_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/probe"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
)

// estate is name servers at loopback addresses of their own, one port for all, and the resolver that knows where they are.
type estate struct {
	t         *testing.T
	cache     *dnstest.Server
	port      uint16
	cacheZone []string
	guard     netguard.Config
	timeout   time.Duration
}

const soa = " 60 IN SOA ns1.sender.example. admin.sender.example. 1 7200 900 86400 "

func newEstate(t *testing.T) *estate {
	t.Helper()
	cache, err := dnstest.New("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Close)
	return &estate{
		t: t, cache: cache, port: netip.MustParseAddrPort(cache.Addr()).Port(), timeout: 300 * time.Millisecond,
		guard: netguard.Config{BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	}
}

// at is the n-th address.
func (e *estate) at(n int) string { return fmt.Sprintf("127.0.0.%d", n+1) }

// knows adds to what the resolver says.
func (e *estate) knows(lines ...string) {
	e.t.Helper()
	e.cacheZone = append(e.cacheZone, lines...)
	if err := e.cache.Replace(strings.Join(e.cacheZone, "\n") + "\n"); err != nil {
		e.t.Fatal(err)
	}
}

// serves starts the n-th name server with a zone.
func (e *estate) serves(n int, lines ...string) *dnstest.Server {
	e.t.Helper()
	s, err := dnstest.NewAt(net.JoinHostPort(e.at(n), fmt.Sprint(e.port)), strings.Join(lines, "\n")+"\n")
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(s.Close)
	return s
}

// behaves starts the n-th name server with a will of its own.
func (e *estate) behaves(n int, f func(resp *dns.Msg, q dns.Question)) {
	e.t.Helper()
	pc, err := net.ListenPacket("udp", net.JoinHostPort(e.at(n), fmt.Sprint(e.port)))
	if err != nil {
		e.t.Fatal(err)
	}
	started, done := make(chan struct{}), make(chan struct{})
	s := &dns.Server{PacketConn: pc, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, req *dns.Msg) {
		resp := new(dns.Msg).SetReply(req)
		f(resp, req.Question[0])
		_ = w.WriteMsg(resp)
	})}
	go func() {
		defer close(done)
		_ = s.ActivateAndServe()
	}()
	<-started
	e.t.Cleanup(func() {
		_ = s.Shutdown()
		<-done
	})
}

func (e *estate) authority() *probe.Authority {
	client := resolver.New(resolver.Config{Server: e.cache.Addr(), Timeout: e.timeout})
	e.guard.Resolver = client
	return probe.NewAuthority(probe.AuthorityConfig{DNS: client, Guard: netguard.New(e.guard), Port: e.port, Timeout: e.timeout})
}

// lookUp prints what was found, a line a server.
func (e *estate) lookUp(name, rrtype string) []string {
	e.t.Helper()
	answers, err := e.authority().Lookup(e.t.Context(), name, rrtype)
	if err != nil {
		e.t.Fatal(err)
	}
	out := []string{fmt.Sprintf("%s %s", answers.Zone, answers.NegativeTTL)}
	for _, s := range answers.Servers {
		line := fmt.Sprintf("%s %s %q %s", s.Server, s.Name, s.Data, s.TTL)
		if s.Err != nil {
			line = fmt.Sprintf("%s: %s", s.Server, s.Err)
		}
		out = append(out, strings.ReplaceAll(line, fmt.Sprintf(":%d", e.port), ":port"))
	}
	return out
}

func (e *estate) servers(domain string, n ...int) {
	for _, n := range n {
		e.knows(fmt.Sprintf("%s. IN NS ns%d.%s.", domain, n, domain), fmt.Sprintf("ns%d.%s. IN A %s", n, domain, e.at(n)))
	}
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

const (
	apex  = "sender.example."
	aName = "cal1._domainkey.sender.example."
)

// Every server is asked itself, at each of its addresses; the resolver never hears of the name, or it would remember that there
// is none.
//
// Proves: IS-DKIM-10
func TestEveryServerIsAsked(t *testing.T) {
	e := newEstate(t)
	e.servers("sender.example", 1, 2, 3, 4, 5)
	e.serves(1, apex+soa+"300", aName+` 600 IN TXT "v=DKIM1; " "p=new\059"`)
	e.serves(2, apex+" 900"+soa[3:]+"1200", "x._domainkey.sender.example. IN TXT old")
	e.behaves(3, func(resp *dns.Msg, _ dns.Question) { resp.Rcode = dns.RcodeRefused })
	e.behaves(4, func(*dns.Msg, dns.Question) {}) // lame: an empty answer without authority
	// nobody is at 5
	same(t, e.lookUp("CAL1._domainkey.Sender.example", "TXT"),
		"sender.example. 15m0s",
		`ns1.sender.example cal1._domainkey.sender.example. ["v=DKIM1; p=new;"] 10m0s`,
		`ns2.sender.example cal1._domainkey.sender.example. [] 0s`,
		"ns3.sender.example: answers REFUSED",
		"ns4.sender.example: is lame: it has no authority for the zone",
		"ns5.sender.example: does not answer: read: connection refused",
	)
	for _, name := range []string{aName, "_domainkey.sender.example."} {
		for _, qtype := range []uint16{dns.TypeTXT, dns.TypeNS, dns.TypeSOA, dns.TypeA} {
			if e.cache.Queries(name, qtype) > 0 {
				t.Errorf("the resolver was asked for %s %s", name, dns.Type(qtype))
			}
		}
	}
}

func TestAnAnswerThatIsCutIsFetchedWhole(t *testing.T) {
	e := newEstate(t)
	e.servers("sender.example", 1)
	long := strings.Repeat("x", 250)
	var lines []string
	for i := range 8 {
		lines = append(lines, fmt.Sprintf("big.sender.example. IN TXT \"%d%s\"", i, long))
	}
	s := e.serves(1, append(lines, apex+soa+"300")...)
	answers, err := e.authority().Lookup(t.Context(), "big.sender.example", "TXT")
	if err != nil || len(answers.Servers[0].Data) != 8 || s.TCPQueries("big.sender.example.", dns.TypeTXT) != 1 {
		t.Errorf("%v, %v", answers, err)
	}
}

// The zone is the closest enclosing one: below a delegation the servers of the child count, as the parent and as the child name
// them.
func TestTheZoneIsTheClosest(t *testing.T) {
	child := []string{"team.sender.example." + soa + "120", "team.sender.example. IN NS ns3.sender.example.", "cal1._domainkey.team.sender.example. IN TXT child"}
	delegated := func(resp *dns.Msg, q dns.Question) {
		switch {
		case dns.IsSubDomain("team.sender.example.", dns.CanonicalName(q.Name)):
			ns, _ := dns.NewRR("team.sender.example. 60 IN NS ns2.sender.example.")
			glue, _ := dns.NewRR("ns2.sender.example. 60 IN A 169.254.169.254")
			resp.Ns, resp.Extra = []dns.RR{ns}, []dns.RR{glue}
		default:
			resp.Authoritative = true
			rr, _ := dns.NewRR(apex + soa + "300")
			resp.Ns = []dns.RR{rr}
		}
	}
	t.Run("by a referral, whose glue is not believed", func(t *testing.T) {
		e := newEstate(t)
		e.servers("sender.example", 1)
		e.knows("ns2.sender.example. IN A "+e.at(2), "ns3.sender.example. IN A "+e.at(3))
		e.behaves(1, delegated)
		e.serves(2, child...)
		e.serves(3, child[0])
		same(t, e.lookUp("cal1._domainkey.team.sender.example", "TXT"),
			"team.sender.example. 1m0s",
			`ns2.sender.example cal1._domainkey.team.sender.example. ["child"] 1m0s`,
			`ns3.sender.example cal1._domainkey.team.sender.example. [] 0s`,
		)
	})
	t.Run("where one server has both", func(t *testing.T) {
		e := newEstate(t)
		e.servers("sender.example", 1)
		e.knows("ns3.sender.example. IN A " + e.at(3))
		e.serves(1, append(child, apex+soa+"300")...)
		e.serves(3, child[0])
		same(t, e.lookUp("cal1._domainkey.team.sender.example", "TXT"),
			"team.sender.example. 1m0s",
			`ns3.sender.example cal1._domainkey.team.sender.example. [] 0s`,
		)
	})
	t.Run("a name below it that has no zone of its own", func(t *testing.T) {
		e := newEstate(t)
		e.servers("sender.example", 1)
		e.behaves(1, delegated)
		same(t, e.lookUp("cal1._domainkey.other.sender.example", "TXT"), "sender.example. 1m0s",
			`ns1.sender.example cal1._domainkey.other.sender.example. [] 0s`)
	})
	t.Run("a server that was told of the child and the others were not", func(t *testing.T) {
		e := newEstate(t)
		e.servers("sender.example", 1, 2)
		e.serves(1, apex+soa+"300")
		e.behaves(2, delegated)
		same(t, e.lookUp("cal1._domainkey.team.sender.example", "TXT"), "sender.example. 1m0s",
			`ns1.sender.example cal1._domainkey.team.sender.example. [] 0s`,
			"ns2.sender.example: sends on to a zone team.sender.example., of which the other servers know nothing")
	})
	t.Run("a server that has only the zone above", func(t *testing.T) {
		e := newEstate(t)
		e.servers("sender.example", 1, 2)
		e.serves(1, apex+soa+"300")
		e.serves(2, "example."+soa+"300")
		same(t, e.lookUp(aName, "TXT"), "sender.example. 1m0s",
			`ns1.sender.example cal1._domainkey.sender.example. [] 0s`,
			"ns2.sender.example: answers from the zone example. in place of sender.example.")
	})
}

// Delegated records: the alias leads to another zone, all of whose servers are asked.
func TestAliasesAreFollowedAcrossZones(t *testing.T) {
	e := newEstate(t)
	e.servers("sender.example", 1, 2)
	e.servers("provider.example", 3, 4)
	const target = "cal1._domainkey.sender.example.d.provider.example."
	e.serves(1, apex+soa+"300", aName+" IN CNAME "+target)
	e.serves(2, apex+soa+"300")
	e.serves(3, "provider.example. 3600"+soa[3:]+"7200", target+" IN TXT key")
	e.serves(4, "provider.example. 3600"+soa[3:]+"7200")
	same(t, e.lookUp(aName, "TXT"), "sender.example. 1h0m0s",
		`ns2.sender.example cal1._domainkey.sender.example. [] 0s`,
		"ns3.provider.example "+target+` ["key"] 1h0m0s`,
		"ns4.provider.example "+target+` [] 0s`,
	)
	same(t, e.lookUp(aName, "CNAME"), "sender.example. 1m0s",
		`ns1.sender.example cal1._domainkey.sender.example. ["`+target+`"] 1m0s`,
		`ns2.sender.example cal1._domainkey.sender.example. [] 0s`,
	)
}

func TestAliasesEnd(t *testing.T) {
	e := newEstate(t)
	e.servers("sender.example", 1)
	lines := []string{apex + soa + "300", "a.sender.example. IN CNAME b.sender.example.", "b.sender.example. IN CNAME a.sender.example."}
	for i := range 12 {
		lines = append(lines, fmt.Sprintf("c%d.sender.example. IN CNAME c%d.sender.example.", i, i+1))
	}
	e.serves(1, lines...)
	for name, want := range map[string]string{"a.sender.example": "circle", "c0.sender.example": "more than 8 aliases"} {
		if _, err := e.authority().Lookup(t.Context(), name, "TXT"); !errors.Is(err, probe.ErrNoZone) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a zone says of its servers costs a bounded number of questions, and leads nowhere that the guard forbids.
//
// Proves: IS-DISC-10
func TestHostileZones(t *testing.T) {
	t.Run("addresses that nobody may be led to", func(t *testing.T) {
		e := newEstate(t)
		e.servers("sender.example", 1)
		e.serves(1, apex+soa+"300", "sender.example. IN NS meta.sender.example.", "sender.example. IN NS inside.sender.example.")
		e.knows("meta.sender.example. IN A 169.254.169.254", "inside.sender.example. IN A 10.0.0.1")
		same(t, e.lookUp(aName, "TXT"), "sender.example. 1m0s",
			"inside.sender.example: address 10.0.0.1:port refused: private",
			"meta.sender.example: address 169.254.169.254:port refused: metadata",
			`ns1.sender.example cal1._domainkey.sender.example. [] 0s`,
		)
	})
	t.Run("a hundred servers", func(t *testing.T) {
		e := newEstate(t)
		e.servers("sender.example", 1)
		s := e.serves(1, apex+soa+"300")
		for i := range 100 {
			e.knows(fmt.Sprintf("sender.example. IN NS z%02d.sender.example.", i), fmt.Sprintf("z%02d.sender.example. IN A %s", i, e.at(1)))
		}
		got := e.lookUp(aName, "TXT")
		if asked := s.Queries(aName, dns.TypeTXT); asked != 1 || !strings.Contains(strings.Join(got, "\n"), "z99.sender.example: not asked: the zone has more than 16 name servers") {
			t.Errorf("asked %d times: %v", asked, got)
		}
	})
	t.Run("zones below each other without end", func(t *testing.T) {
		e := newEstate(t)
		e.servers("sender.example", 1)
		var asked atomic.Int32
		e.behaves(1, func(resp *dns.Msg, q dns.Question) {
			asked.Add(1)
			rr, _ := dns.NewRR(apex + " 60 IN NS ns1.sender.example.") // sends on to itself
			resp.Ns = []dns.RR{rr}
		})
		if _, err := e.authority().Lookup(t.Context(), aName, "TXT"); !errors.Is(err, probe.ErrNoZone) || asked.Load() > 4 {
			t.Errorf("asked %d times: %v", asked.Load(), err)
		}
	})
	t.Run("a new zone at each label", func(t *testing.T) {
		e := newEstate(t)
		depth := 0 // one question at a time
		e.servers("sender.example", 1)
		e.behaves(1, func(resp *dns.Msg, q dns.Question) {
			name := dns.CanonicalName(q.Name)
			labels := dns.Split(name)
			depth++
			rr, _ := dns.NewRR(name[labels[max(0, len(labels)-2-depth)]:] + " 60 IN NS ns1.sender.example.")
			resp.Ns = []dns.RR{rr}
		})
		if _, err := e.authority().Lookup(t.Context(), strings.Repeat("x.", 60)+"sender.example", "TXT"); !errors.Is(err, probe.ErrNoZone) || !strings.Contains(err.Error(), "more than 16 zones below each other") {
			t.Error(err)
		}
	})
	t.Run("more records than anybody needs", func(t *testing.T) {
		e := newEstate(t)
		e.servers("sender.example", 1)
		lines := []string{apex + soa + "300"}
		for i := range 40 {
			lines = append(lines, fmt.Sprintf("%s IN TXT \"%d\"", aName, i))
		}
		e.serves(1, lines...)
		same(t, e.lookUp(aName, "TXT"), "sender.example. 0s", "ns1.sender.example: more than 32 records")
	})
	t.Run("text that steers a terminal", func(t *testing.T) {
		e := newEstate(t)
		e.servers("sender.example", 1)
		e.serves(1, apex+soa+"300", aName+` IN TXT "a\027[2J\255b"`)
		same(t, e.lookUp(aName, "TXT"), "sender.example. 1m0s", `ns1.sender.example `+aName+` ["a`+"\ufffd"+`[2J`+"\ufffd"+`b"] 1m0s`)
	})
	t.Run("a referral that leads aside", func(t *testing.T) {
		e := newEstate(t)
		e.servers("sender.example", 1)
		e.behaves(1, func(resp *dns.Msg, _ dns.Question) {
			rr, _ := dns.NewRR("aside.sender.example. 60 IN NS ns1.sender.example.")
			resp.Ns = []dns.RR{rr}
		})
		if _, err := e.authority().Lookup(t.Context(), aName, "TXT"); !errors.Is(err, probe.ErrNoZone) || !strings.Contains(err.Error(), "no server of sender.example. says") {
			t.Error(err)
		}
	})
	t.Run("an answer to another question", func(t *testing.T) {
		e := newEstate(t)
		e.servers("sender.example", 1)
		e.behaves(1, func(resp *dns.Msg, q dns.Question) { resp.Question[0].Name = "other.example." })
		if _, err := e.authority().Lookup(t.Context(), aName, "TXT"); !errors.Is(err, probe.ErrNoZone) {
			t.Error(err)
		}
	})
}

// How long "nothing there" is remembered is the smaller of two numbers (RFC 2308 §5).
func TestNegativeTTL(t *testing.T) {
	for numbers, want := range map[[2]int]time.Duration{{60, 300}: time.Minute, {300, 60}: time.Minute} {
		e := newEstate(t)
		e.servers("sender.example", 1)
		e.serves(1, fmt.Sprintf("%s %d%s%d", apex, numbers[0], soa[3:], numbers[1]))
		if answers, err := e.authority().Lookup(t.Context(), aName, "TXT"); err != nil || answers.NegativeTTL != want {
			t.Errorf("%v: %v, %v", numbers, answers, err)
		}
	}
}

// The questions ask nobody to look further, and leave at no port but that of name servers.
func TestQuestions(t *testing.T) {
	e := newEstate(t)
	e.servers("sender.example", 1)
	var recursion atomic.Bool
	e.behaves(1, func(resp *dns.Msg, _ dns.Question) {
		recursion.Store(recursion.Load() || resp.RecursionDesired) // SetReply takes it from the question
		rr, _ := dns.NewRR(apex + soa + "300")
		resp.Authoritative, resp.Ns = true, []dns.RR{rr}
	})
	if e.lookUp(aName, "TXT"); recursion.Load() {
		t.Error("recursion was desired")
	}
	e.port = 25
	if _, err := e.authority().Lookup(t.Context(), aName, "TXT"); err == nil || !strings.Contains(err.Error(), "refused: port") {
		t.Error(err)
	}
}

func TestNoZone(t *testing.T) {
	e := newEstate(t)
	e.knows("org." + soa + "300")
	for _, tt := range []struct{ name, rrtype, want string }{
		{"cal1._domainkey.nowhere.test", "TXT", "nowhere.test has no name servers, and nothing above it has"},
		{"a..b", "TXT", "not a domain name"},
		{"sender.example", "A", "not looked up"},
	} {
		if _, err := e.authority().Lookup(t.Context(), tt.name, tt.rrtype); !errors.Is(err, probe.ErrNoZone) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
