package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	udpSize  = 1232 // what fits an unfragmented packet nearly everywhere (DNS flag day 2020)
	maxChain = 8    // CNAMEs from the asked name to its records
	rounds   = 2    // tries per server that does not answer at all: a lost packet is no outage
)

// ask puts the question to the servers and follows CNAMEs, those in the answer and those that lead out of it.
func (c *Client) ask(ctx context.Context, q question) (*entry, error) {
	servers, err := c.servers()
	if err != nil {
		return nil, err
	}
	ttl := maxPositive
	secure := true
	name := q.name
	seen := 0
	for {
		resp, server, err := c.exchange(ctx, servers, question{name, q.qtype})
		if err != nil {
			return nil, err
		}
		secure = secure && resp.AuthenticatedData && loopback(server)

		aliased := false
		for alias := findCNAME(resp, name); alias != nil && q.qtype != dns.TypeCNAME; alias = findCNAME(resp, name) {
			if seen++; seen > maxChain {
				return nil, fmt.Errorf("%w: more than %d CNAMEs from %s", ErrTemporary, maxChain, q.name)
			}
			aliased = true
			ttl = min(ttl, seconds(alias.Hdr.Ttl))
			if name, err = rooted(alias.Target); err != nil {
				return nil, fmt.Errorf("%w: CNAME from %s leads to no domain name", ErrTemporary, q.name)
			}
		}

		e := &entry{secure: secure}
		for _, rr := range resp.Answer {
			if h := rr.Header(); h.Rrtype == q.qtype && h.Class == dns.ClassINET && dns.CanonicalName(h.Name) == name {
				e.records = append(e.records, rr)
				ttl = min(ttl, seconds(h.Ttl))
			}
		}
		if len(e.records) == 0 {
			negative, ok := negativeTTL(resp, name)
			if !ok && aliased && resp.Rcode == dns.RcodeSuccess {
				continue // the server stopped at the alias: ask for its target
			}
			ttl = min(ttl, negative)
		}
		e.expires = c.cfg.Now().Add(ttl)
		return e, nil
	}
}

func findCNAME(resp *dns.Msg, name string) *dns.CNAME {
	for _, rr := range resp.Answer {
		if r, ok := rr.(*dns.CNAME); ok && dns.CanonicalName(r.Hdr.Name) == name {
			return r
		}
	}
	return nil
}

// negativeTTL reads how long "nothing there" holds (RFC 2308 §5); without an SOA it is not cached at all.
func negativeTTL(resp *dns.Msg, name string) (ttl time.Duration, ok bool) {
	for _, rr := range resp.Ns {
		if soa, isSOA := rr.(*dns.SOA); isSOA && dns.IsSubDomain(soa.Hdr.Name, name) {
			return min(maxNegative, seconds(soa.Hdr.Ttl), seconds(soa.Minttl)), true
		}
	}
	return 0, false
}

// seconds reads a TTL; one with the top bit set counts as 0 (RFC 2181 §8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}

// exchange tries the servers in turn until one gives an answer: NOERROR or NXDOMAIN. A server that refuses or fails
// is left for the next one, one that is silent is tried again at the end.
func (c *Client) exchange(ctx context.Context, servers []string, q question) (*dns.Msg, string, error) {
	spoke := make([]bool, len(servers))
	var errs []error
	for round := range rounds {
		for i, server := range servers {
			if spoke[i] {
				continue
			}
			resp, err := c.try(ctx, server, q)
			if ctx.Err() != nil {
				return nil, "", fmt.Errorf("%w: %w", ErrTemporary, ctx.Err())
			}
			if err == nil {
				if resp.Rcode == dns.RcodeSuccess || resp.Rcode == dns.RcodeNameError {
					return resp, server, nil
				}
				spoke[i] = true
				err = fmt.Errorf("%s from %s", rcodeName(resp.Rcode), server)
			}
			if spoke[i] || round == rounds-1 {
				errs = append(errs, err)
			}
		}
	}
	return nil, "", fmt.Errorf("%w: %s %s: %w", ErrTemporary, q.name, dns.Type(q.qtype), errors.Join(errs...))
}

var errMalformed = errors.New("malformed answer")

// try asks one server once, by UDP and, when the answer was cut, by TCP.
func (c *Client) try(ctx context.Context, server string, q question) (*dns.Msg, error) {
	req := new(dns.Msg)
	req.SetQuestion(q.name, q.qtype) // takes a random id
	req.SetEdns0(udpSize, false)
	req.AuthenticatedData = true // "tell me whether you validated" (RFC 6840 §5.7)

	resp, err := c.send(ctx, "udp", server, req)
	if err == nil && resp.Truncated {
		if resp, err = c.send(ctx, "tcp", server, req); err == nil && resp.Truncated {
			err = fmt.Errorf("%w: truncated over TCP, from %s", errMalformed, server)
		}
	}
	return resp, err
}

func (c *Client) send(ctx context.Context, network, server string, req *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	client := dns.Client{Net: network, Timeout: c.cfg.Timeout}
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	// The client heeds the deadline of a context only; this makes it heed its end.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	resp, _, err := client.ExchangeWithConnContext(ctx, req, conn)
	if err != nil {
		return nil, err
	}
	q := req.Question[0]
	if !resp.Response || resp.Opcode != dns.OpcodeQuery || len(resp.Question) != 1 ||
		resp.Question[0].Qtype != q.Qtype || resp.Question[0].Qclass != q.Qclass ||
		!strings.EqualFold(resp.Question[0].Name, q.Name) {
		return nil, fmt.Errorf("%w: not to our question, from %s", errMalformed, server)
	}
	return resp, nil
}

// loopback says whether the path to the server cannot be tampered with, so that its AD bit counts.
func loopback(server string) bool {
	a, err := netip.ParseAddrPort(server)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

func rcodeName(rcode int) string {
	if s, ok := dns.RcodeToString[rcode]; ok {
		return s
	}
	return fmt.Sprintf("rcode %d", rcode)
}
