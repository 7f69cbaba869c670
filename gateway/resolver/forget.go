package resolver

import "github.com/miekg/dns"

// Forget drops what is cached about name, so that the next look-up asks: for callers with a reason to doubt an
// answer, or with a shorter bound than its TTL.
func (c *Client) Forget(name string) {
	fqdn, err := rooted(name)
	if err != nil {
		return
	}
	for _, qtype := range []uint16{dns.TypeSRV, dns.TypeTXT, dns.TypeA, dns.TypeAAAA} {
		c.cache.Invalidate(question{fqdn, qtype})
	}
}
