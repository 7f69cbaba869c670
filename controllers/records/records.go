// Package records says which DNS records should exist for a domain of a gateway, and writes them down: for BIND, for
// dnsmasq, as JSON. It is pure; it publishes nothing and looks nothing up.
//
// Sources: draft-desruisseaux-ischedule-05 §4 (SRV, TXT) and §7.3 (keys), RFC 2782, RFC 6376 §3.6.2, RFC 6763 §6.
package records

import (
	"cmp"
	"slices"
	"strings"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Record is one DNS record. SRV or Text is set, by Type.
type Record struct {
	Name string   `json:"name"` // with the trailing dot
	Type string   `json:"type"` // SRV, TXT
	TTL  uint32   `json:"ttl"`  // seconds
	SRV  *SRV     `json:"srv,omitempty"`
	Text []string `json:"text,omitempty"` // strings of at most 255 octets, which readers join
}

// SRV is the data of an SRV record (RFC 2782).
type SRV struct {
	Priority uint16 `json:"priority"`
	Weight   uint16 `json:"weight"`
	Port     uint16 `json:"port"`
	Target   string `json:"target"` // with the trailing dot
}

// Options of For; the zero value is what a gateway needs that is reached at port 443.
type Options struct {
	Port uint16 // where the gateway is reached, 0 = 443
	Path string // of the iSchedule resource, "" = the well-known one, which needs no TXT record
	TTL  uint32 // 0 = an hour
}

const defaultTTL = 3600

// For returns the records for a domain, sorted by name: where its gateway is (IS-DISC-2, IS-DISC-3), and where its keys
// are, by the methods that its signatures name (IS-DKIM-10, IS-DKIM-11).
func For(gw *snapshot.Gateway, d *snapshot.Domain, opt Options) []Record {
	port, ttl := cmp.Or(opt.Port, 443), cmp.Or(opt.TTL, defaultTTL)
	srv := func(name string) Record {
		return Record{Name: name + ".", Type: "SRV", TTL: ttl, SRV: &SRV{Port: port, Target: gw.Host + "."}}
	}
	txt := func(name, text string) Record {
		return Record{Name: name + ".", Type: "TXT", TTL: ttl, Text: split(text)}
	}
	service := "_ischedules._tcp." + d.Name
	out := []Record{srv(service)}
	if opt.Path != "" && opt.Path != ischedule.WellKnownPath {
		out = append(out, txt(service, "path="+opt.Path))
	}
	for _, k := range d.Signing.Keys {
		if slices.Contains(d.Signing.Lookup, dkim.MethodDNS) {
			out = append(out, txt(k.Selector+"._domainkey."+k.Domain, k.Record))
		}
		if slices.Contains(d.Signing.Lookup, dkim.MethodWellKnown) {
			out = append(out, srv("_domainkey_lookup._tcp."+k.Domain))
		}
	}
	slices.SortFunc(out, func(a, b Record) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type)) })
	return slices.CompactFunc(out, func(a, b Record) bool { return a.Name == b.Name && a.Type == b.Type })
}

// maxString is the longest string in a TXT record (RFC 1035 §3.3.14).
const maxString = 255

func split(text string) []string {
	var out []string
	for len(text) > maxString {
		out, text = append(out, text[:maxString]), text[maxString:]
	}
	return append(out, text)
}

// Joined is the text of a TXT record as its readers see it.
func (r Record) Joined() string { return strings.Join(r.Text, "") }
