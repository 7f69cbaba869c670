package dnstest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/calfed/calfed/gateway/resolver/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const zone = `
$TTL 60
example.com.       IN SOA ns.example.com. admin.example.com. 1 7200 900 86400 30
a.b.example.com.   IN TXT "x"
alias.example.com. IN CNAME a.b.example.com.
loop.example.com.  IN CNAME loop.example.com.
nosoa.test.        IN TXT "y"
`

func exchange(t *testing.T, s *dnstest.Server, network, name string, qtype uint16) *dns.Msg {
	t.Helper()
	c := dns.Client{Net: network}
	m, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, qtype), s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAnswers(t *testing.T) {
	s, err := dnstest.New(zone)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tests := []struct {
		rule        string
		name        string
		qtype       uint16
		rcode       int
		answers, ns int
	}{
		{"a record", "A.b.example.com.", dns.TypeTXT, dns.RcodeSuccess, 1, 0},
		{"no such type", "a.b.example.com.", dns.TypeA, dns.RcodeSuccess, 0, 1},
		{"an empty name above a record exists", "b.example.com.", dns.TypeA, dns.RcodeSuccess, 0, 1},
		{"no such name", "c.example.com.", dns.TypeA, dns.RcodeNameError, 0, 1},
		{"no such name, no SOA", "c.nosoa.test.", dns.TypeA, dns.RcodeNameError, 0, 0},
		{"an alias with its target", "alias.example.com.", dns.TypeTXT, dns.RcodeSuccess, 2, 0},
		{"an alias itself", "alias.example.com.", dns.TypeCNAME, dns.RcodeSuccess, 1, 0},
		{"a loop ends", "loop.example.com.", dns.TypeTXT, dns.RcodeSuccess, 16, 0},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			for _, network := range []string{"udp", "tcp"} {
				m := exchange(t, s, network, tt.name, tt.qtype)
				if m.Rcode != tt.rcode || len(m.Answer) != tt.answers || len(m.Ns) != tt.ns || m.AuthenticatedData {
					t.Errorf("%s: %v", network, m)
				}
			}
		})
	}
	if s.Queries("c.example.com", dns.TypeA) != 2 || s.TCPQueries("c.example.com.", dns.TypeA) != 1 {
		t.Error("miscounted")
	}
}

func TestLargeAnswersAreTruncatedOnUDP(t *testing.T) {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "big.test. IN TXT \"%d %s\"\n", i, strings.Repeat("x", 50))
	}
	s, err := dnstest.New(b.String())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if m := exchange(t, s, "udp", "big.test.", dns.TypeTXT); !m.Truncated {
		t.Error("not truncated")
	}
	if m := exchange(t, s, "tcp", "big.test.", dns.TypeTXT); m.Truncated || len(m.Answer) != 30 {
		t.Errorf("%d answers over TCP", len(m.Answer))
	}
}

func TestFailSecureReplace(t *testing.T) {
	s, err := dnstest.New(zone)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Fail("a.b.EXAMPLE.com", dns.RcodeRefused)
	if m := exchange(t, s, "udp", "a.b.example.com.", dns.TypeTXT); m.Rcode != dns.RcodeRefused {
		t.Error(m)
	}
	s.SetSecure(true)
	if m := exchange(t, s, "udp", "nosoa.test.", dns.TypeTXT); !m.AuthenticatedData {
		t.Error(m)
	}
	if err := s.Replace("broken IN"); err == nil {
		t.Error("a broken text was taken")
	}
	if err := s.Replace("nosoa.test. IN A 192.0.2.1\n"); err != nil {
		t.Error(err)
	}
	if m := exchange(t, s, "udp", "nosoa.test.", dns.TypeA); len(m.Answer) != 1 {
		t.Error(m)
	}
}

func TestABrokenZoneIsNoServer(t *testing.T) {
	if _, err := dnstest.New("x IN A not-an-address"); err == nil {
		t.Error("no error")
	}
}
