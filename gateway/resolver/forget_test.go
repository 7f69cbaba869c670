package resolver_test

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
)

// Proves: IS-DISC-8
func TestForgottenAnswersAreAskedAgain(t *testing.T) {
	s, err := dnstest.New("a.test. 600 IN TXT \"x\"\nb.test. 600 IN TXT \"y\"\n")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := resolver.New(resolver.Config{Server: s.Addr()})
	for range 2 {
		for _, name := range []string{"a.test", "b.test"} {
			if _, _, err := c.LookupTXT(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		c.Forget("A.test.")
		c.Forget("not a name")
	}
	if a, b := s.Queries("a.test", dns.TypeTXT), s.Queries("b.test", dns.TypeTXT); a != 2 || b != 1 {
		t.Errorf("a.test was asked %d times, b.test %d times", a, b)
	}
}
