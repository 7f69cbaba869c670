package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
)

// Authority asks the authoritative name servers of a name, each of them, and never a cache: whoever asks a resolver for a
// record that is not out yet makes it remember that there is none (RFC 2308). Safe for concurrent use.
type Authority struct{ cfg AuthorityConfig }

// AuthorityConfig of an Authority.
type AuthorityConfig struct {
	DNS     AuthorityDNS
	Guard   *netguard.Guard
	Port    uint16        // of the name servers; 0 = 53
	Timeout time.Duration // of one question, 0 = 3 s
}

// AuthorityDNS finds the name servers of a zone that surely exists, and their addresses. It is asked nothing about the
// names that are looked up. *resolver.Client implements it.
type AuthorityDNS interface {
	LookupNS(ctx context.Context, name string) ([]string, resolver.Answer, error)
	LookupAddrs(ctx context.Context, host string) ([]netip.Addr, error)
}

// NewAuthority makes an Authority.
func NewAuthority(cfg AuthorityConfig) *Authority {
	cfg.Port = cmp.Or(cfg.Port, 53)
	cfg.Timeout = cmp.Or(cfg.Timeout, 3*time.Second)
	return &Authority{cfg: cfg}
}

// ErrNoZone means that the zone of a name, or its servers, could not be found.
var ErrNoZone = errors.New("no zone")

// Answers are what the authoritative servers say about one name and type.
type Answers struct {
	Zone        string         // closest enclosing zone of the name, with the trailing dot
	NegativeTTL time.Duration  // how long resolvers remember that something is not there (RFC 2308 §5); the longest that a server says
	Servers     []ServerAnswer // every address of every name server, sorted
}

// ServerAnswer is what one server says. Where it says that the name is an alias (CNAME), and another type was asked for, the
// servers of the alias' target stand in its place, each with what it says.
type ServerAnswer struct {
	Server string         // name, without the trailing dot
	Addr   netip.AddrPort // zero when the server has none
	Name   string         // that it was asked for, with the trailing dot: the one looked up, or the end of its aliases
	// Data are the records of the type, as zone files write them, TXT strings joined and without quotes; sorted. nil = there
	// is none.
	Data []string
	TTL  time.Duration // the longest of Data
	Err  error         // it could not be asked, refused, or has no authority
}

// maxAliases bounds how many CNAMEs are followed.
const maxAliases = 8

// Lookup asks every authoritative server of name (with or without trailing dot) for records of a type: TXT, SRV, CNAME or
// NS. The error, an ErrNoZone, is for what comes before: the zone or its servers cannot be found.
func (a *Authority) Lookup(ctx context.Context, name, rrtype string) (*Answers, error) {
	fqdn := dns.CanonicalName(name)
	if _, ok := dns.IsDomainName(fqdn); !ok || fqdn == "." {
		return nil, fmt.Errorf("%w: not a domain name", ErrNoZone)
	}
	qtype, ok := map[string]uint16{"TXT": dns.TypeTXT, "SRV": dns.TypeSRV, "CNAME": dns.TypeCNAME, "NS": dns.TypeNS}[rrtype]
	if !ok {
		return nil, fmt.Errorf("%w: records of type %q are not looked up", ErrNoZone, rrtype)
	}
	var out *Answers
	visited := map[string]bool{}
	for next := []string{fqdn}; len(next) > 0; {
		name := next[0]
		next = next[1:]
		if visited[name] {
			continue
		}
		if len(visited) > maxAliases {
			return nil, fmt.Errorf("%w: more than %d aliases lead on from %s", ErrNoZone, maxAliases, fqdn)
		}
		visited[name] = true
		z, err := a.zoneOf(ctx, name)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = &Answers{Zone: z.apex}
		}
		for _, r := range a.askAll(ctx, z, name, qtype) {
			out.NegativeTTL = max(out.NegativeTTL, r.negative)
			if r.alias == "" {
				out.Servers = append(out.Servers, r.ServerAnswer)
				continue
			}
			next = append(next, r.alias)
		}
	}
	if len(out.Servers) == 0 {
		return nil, fmt.Errorf("%w: aliases lead from %s round in a circle", ErrNoZone, fqdn)
	}
	slices.SortStableFunc(out.Servers, func(a, b ServerAnswer) int {
		return cmp.Or(cmp.Compare(a.Server, b.Server), a.Addr.Compare(b.Addr), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

// maxRecords bounds how many records of one name a server may have.
const maxRecords = 32

var errTooMany = fmt.Errorf("more than %d records", maxRecords)

// data are the records of an answer that belong to the name.
func data(resp *dns.Msg, name string, qtype uint16) (out []string, ttl time.Duration, err error) {
	for _, rr := range resp.Answer {
		h := rr.Header()
		if h.Rrtype != qtype || h.Class != dns.ClassINET || dns.CanonicalName(h.Name) != name {
			continue
		}
		if len(out) == maxRecords {
			return nil, 0, errTooMany
		}
		ttl = max(ttl, seconds(h.Ttl))
		switch r := rr.(type) {
		case *dns.TXT:
			var text strings.Builder
			for _, s := range r.Txt {
				text.WriteString(unescape(s))
			}
			out = append(out, oneLine(text.String()))
		case *dns.SRV:
			out = append(out, fmt.Sprintf("%d %d %d %s", r.Priority, r.Weight, r.Port, dns.CanonicalName(r.Target)))
		case *dns.CNAME:
			out = append(out, dns.CanonicalName(r.Target))
		case *dns.NS:
			out = append(out, dns.CanonicalName(r.Ns))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), ttl, nil
}

// seconds reads a TTL; one with the top bit set counts as 0 (RFC 2181 §8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}
