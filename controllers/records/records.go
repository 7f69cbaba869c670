// Package records says which DNS records should exist for a domain of a gateway, and writes them down: for BIND, for
// dnsmasq, as JSON. It is pure; it publishes nothing and looks nothing up.
//
// Delegated, the data lies below a zone of the operator's, each record under its own name followed by that zone:
//
//	_ischedules._tcp.example.org.      CNAME  _ischedules._tcp.example.org.dns.operator.example.
//	cal1._domainkey.example.org.       CNAME  cal1._domainkey.example.org.dns.operator.example.
//	cal2._domainkey.example.org.       CNAME  cal2._domainkey.example.org.dns.operator.example.
//
// The owner of the domain sets the CNAME records, and nothing else, at these names: no other record may stand beside a CNAME
// (RFC 1034 §3.6.2). Both selectors of a DKIMKey with Alternating ones have theirs from the start, so that keys rotate
// without the owner. A peer that asks for SRV or TXT follows them; what an SRV record leads to is a host, never a CNAME (RFC 2782).
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

// Record is one DNS record. SRV, Text or Target is set, by Type.
type Record struct {
	Name   string   `json:"name"` // with the trailing dot
	Type   string   `json:"type"` // SRV, TXT, CNAME
	TTL    uint32   `json:"ttl"`  // seconds
	SRV    *SRV     `json:"srv,omitempty"`
	Text   []string `json:"text,omitempty"`   // strings of at most 255 octets, which readers join
	Target string   `json:"target,omitempty"` // of a CNAME, with the trailing dot
}

// SRV is the data of an SRV record (RFC 2782).
type SRV struct {
	Priority uint16 `json:"priority"`
	Weight   uint16 `json:"weight"`
	Port     uint16 `json:"port"`
	Target   string `json:"target"` // with the trailing dot
}

// Set is what a domain needs, each list sorted by name, then type.
type Set struct {
	// Records carry the data: at the domain's own names or, delegated, below the zone. A publisher writes these.
	Records []Record
	// CNAMEs lead from the domain's own names to Records. Only a delegated domain has them, and its owner alone sets them.
	CNAMEs []Record
}

// All are the records of both lists: what should be seen from outside.
func (s Set) All() []Record { return slices.Concat(s.CNAMEs, s.Records) }

// Options of For; the zero value is what a gateway needs that is reached at port 443.
type Options struct {
	Port uint16 // where the gateway is reached, 0 = 443
	Path string // of the iSchedule resource, "" = the well-known one, which needs no TXT record
	TTL  uint32 // 0 = an hour

	Zone        string    // that records are written below, "" = at the domain's own names
	Alternating []KeyName // that have a CNAME whether or not there is such a key just now; only with Zone
}

// KeyName is what a key is published under.
type KeyName struct{ Domain, Selector string }

const defaultTTL = 3600

// For returns the records for a domain: where its gateway is (IS-DISC-2, IS-DISC-3), and where its keys are, by the methods
// that its signatures name (IS-DKIM-10, IS-DKIM-11). Keys that do not sign yet or any more have theirs too, and revoked ones
// the record that says so.
func For(gw *snapshot.Gateway, d *snapshot.Domain, opt Options) Set {
	port, ttl := cmp.Or(opt.Port, 443), cmp.Or(opt.TTL, defaultTTL)
	srv := func(name string) Record {
		return Record{Name: name + ".", Type: "SRV", TTL: ttl, SRV: &SRV{Port: port, Target: gw.Host + "."}}
	}
	txt := func(name, text string) Record {
		return Record{Name: name + ".", Type: "TXT", TTL: ttl, Text: split(text)}
	}
	service := "_ischedules._tcp." + d.Name
	records := []Record{srv(service)}
	if opt.Path != "" && opt.Path != ischedule.WellKnownPath {
		records = append(records, txt(service, "path="+opt.Path))
	}
	inDNS, wellKnown := slices.Contains(d.Signing.Lookup, dkim.MethodDNS), slices.Contains(d.Signing.Lookup, dkim.MethodWellKnown)
	for _, k := range d.Signing.Keys {
		if inDNS {
			records = append(records, txt(keyName(k.Domain, k.Selector), k.Record))
		}
		if wellKnown {
			records = append(records, srv(lookupName(k.Domain)))
		}
	}
	if opt.Zone == "" {
		return Set{Records: sorted(records)}
	}
	names := []string{}
	for i := range records {
		names = append(names, records[i].Name)
		records[i].Name += opt.Zone + "."
	}
	for _, k := range opt.Alternating {
		if inDNS {
			names = append(names, keyName(k.Domain, k.Selector)+".")
		}
		if wellKnown {
			names = append(names, lookupName(k.Domain)+".")
		}
	}
	var cnames []Record
	for _, name := range names {
		cnames = append(cnames, Record{Name: name, Type: "CNAME", TTL: ttl, Target: name + opt.Zone + "."})
	}
	return Set{Records: sorted(records), CNAMEs: sorted(cnames)}
}

func keyName(domain, selector string) string { return selector + "._domainkey." + domain }

func lookupName(domain string) string { return "_domainkey_lookup._tcp." + domain }

// sorted sorts by name, then type, and keeps one record of each.
func sorted(records []Record) []Record {
	slices.SortStableFunc(records, func(a, b Record) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type)) })
	return slices.CompactFunc(records, func(a, b Record) bool { return a.Name == b.Name && a.Type == b.Type })
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
