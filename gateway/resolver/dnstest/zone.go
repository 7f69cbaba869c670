package dnstest

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// defaultTTL is for records of a text without $TTL.
const defaultTTL = 3600

// maxChain bounds how many CNAMEs one answer follows, so that a loop in the text ends.
const maxChain = 16

// zone is a parsed text: records by owner, and the names that exist without any.
type zone struct {
	records map[string][]dns.RR
	exists  map[string]bool
	soas    []*dns.SOA
}

func parse(text string) (*zone, error) {
	z := &zone{records: make(map[string][]dns.RR), exists: make(map[string]bool)}
	p := dns.NewZoneParser(strings.NewReader(text), ".", "")
	p.SetDefaultTTL(defaultTTL)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		owner := dns.CanonicalName(rr.Header().Name)
		z.records[owner] = append(z.records[owner], rr)
		if soa, ok := rr.(*dns.SOA); ok {
			z.soas = append(z.soas, soa)
		}
		for _, i := range dns.Split(owner) {
			z.exists[owner[i:]] = true
		}
	}
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("dnstest: %w", err)
	}
	return z, nil
}

// answer fills in the sections and the response code.
func (z *zone) answer(resp *dns.Msg, q question) {
	name := q.name
	for range maxChain {
		var alias *dns.CNAME
		found := false
		for _, rr := range z.records[name] {
			t := rr.Header().Rrtype
			if t == q.qtype || q.qtype == dns.TypeANY {
				resp.Answer = append(resp.Answer, dns.Copy(rr))
				found = true
			} else if c, ok := rr.(*dns.CNAME); ok {
				alias = c
			}
		}
		if found {
			return
		}
		if alias == nil {
			if !z.exists[name] {
				resp.Rcode = dns.RcodeNameError
			}
			if soa := z.authority(name); soa != nil {
				resp.Ns = append(resp.Ns, dns.Copy(soa))
			}
			return
		}
		resp.Answer = append(resp.Answer, dns.Copy(alias))
		name = dns.CanonicalName(alias.Target)
		if !z.exists[name] && z.authority(name) == nil {
			return // the alias leaves what this server knows: the resolver's work
		}
	}
}

// authority is the SOA of the closest zone above name, nil when the text has none.
func (z *zone) authority(name string) *dns.SOA {
	var best *dns.SOA
	for _, soa := range z.soas {
		if dns.IsSubDomain(soa.Hdr.Name, name) && (best == nil || len(soa.Hdr.Name) > len(best.Hdr.Name)) {
			best = soa
		}
	}
	return best
}
