package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/calfed/calfed/gateway/netguard"
)

const (
	udpSize = 1232 // what fits an unfragmented packet nearly everywhere (DNS flag day 2020)
	tries   = 2    // a lost packet is no outage
)

// result is what one server said.
type result struct {
	ServerAnswer
	negative time.Duration
	alias    string // the server says that the name is an alias of this one
}

// askAll asks every server of a zone.
func (a *Authority) askAll(ctx context.Context, z *zone, name string, qtype uint16) []result {
	results := make([]result, len(z.servers))
	a.each(len(z.servers), func(i int) {
		results[i] = a.ask(ctx, z, z.servers[i], name, qtype)
	})
	// A host without a way to one family cannot say more of a server than its other family does.
	answers := map[string]bool{}
	for _, r := range results {
		answers[r.Server] = answers[r.Server] || r.Err == nil
	}
	var out []result
	for _, r := range results {
		if !noWay(r.Err) || !answers[r.Server] {
			out = append(out, r)
		}
	}
	return out
}

func noWay(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

func (a *Authority) ask(ctx context.Context, z *zone, s server, name string, qtype uint16) result {
	r := result{ServerAnswer: ServerAnswer{Server: s.name, Addr: s.addr, Name: name, Err: s.err}}
	if s.err != nil {
		return r
	}
	resp, err := a.exchange(ctx, s.addr, name, qtype)
	if err == nil {
		err = a.judge(resp, z, name)
	}
	if err != nil {
		r.Err = err
		return r
	}
	if r.Data, r.TTL, r.Err = data(resp, name, qtype); r.Err != nil {
		return r
	}
	if qtype != dns.TypeCNAME && r.Data == nil {
		aliases, _, err := data(resp, name, dns.TypeCNAME)
		switch {
		case err != nil || len(aliases) > 1:
			r.Err = errors.New("has more than one alias there")
			return r
		case len(aliases) == 1:
			r.alias = aliases[0]
		}
	}
	soa := soaOf(resp, name)
	if soa == nil {
		if resp, err = a.exchange(ctx, s.addr, z.apex, dns.TypeSOA); err != nil || authoritative(resp) != nil {
			r.Err = fmt.Errorf("gives no SOA record of %s", z.apex)
			return r
		}
		soa = soaOf(resp, z.apex)
	}
	if soa == nil {
		r.Err = fmt.Errorf("gives no SOA record of %s", z.apex)
		return r
	}
	r.negative = min(seconds(soa.Hdr.Ttl), seconds(soa.Minttl))
	return r
}

// judge says what keeps an answer from counting.
func (a *Authority) judge(resp *dns.Msg, z *zone, name string) error {
	if child, _ := referral(resp, z.apex, name); child != "" {
		return fmt.Errorf("sends on to a zone %s, of which the other servers know nothing", child)
	}
	if err := authoritative(resp); err != nil {
		return err
	}
	if soa := soaOf(resp, name); soa != nil && len(resp.Answer) == 0 {
		if found := dns.CanonicalName(soa.Hdr.Name); found != z.apex {
			return fmt.Errorf("answers from the zone %s in place of %s", found, z.apex)
		}
	}
	return nil
}

// authoritative is the error of a response that is no authoritative answer. A server that was given a zone and does not have it
// is lame.
func authoritative(resp *dns.Msg) error {
	switch {
	case resp.Rcode != dns.RcodeSuccess && resp.Rcode != dns.RcodeNameError:
		if text, ok := dns.RcodeToString[resp.Rcode]; ok {
			return fmt.Errorf("answers %s", text)
		}
		return fmt.Errorf("answers rcode %d", resp.Rcode)
	case !resp.Authoritative:
		return errors.New("is lame: it has no authority for the zone")
	}
	return nil
}

// referral is the zone below apex, on the way to name, that a response sends on to; "" when it is an answer.
func referral(resp *dns.Msg, apex, name string) (child string, names []string) {
	if resp.Rcode != dns.RcodeSuccess || resp.Authoritative || len(resp.Answer) > 0 {
		return "", nil
	}
	for _, rr := range resp.Ns {
		ns, ok := rr.(*dns.NS)
		if !ok || ns.Hdr.Class != dns.ClassINET {
			continue
		}
		owner := dns.CanonicalName(ns.Hdr.Name)
		if owner == apex || !dns.IsSubDomain(apex, owner) || !dns.IsSubDomain(owner, name) || child != "" && owner != child {
			continue
		}
		child, names = owner, append(names, ns.Ns)
	}
	return child, names
}

// soaOf is the SOA record of the zone that name lies in; nil when the response has none.
func soaOf(resp *dns.Msg, name string) *dns.SOA {
	for _, section := range [][]dns.RR{resp.Answer, resp.Ns} {
		for _, rr := range section {
			if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(dns.CanonicalName(soa.Hdr.Name), name) {
				return soa
			}
		}
	}
	return nil
}

// exchange asks one server, by UDP and, when the answer was cut, by TCP. A silent one is asked again.
func (a *Authority) exchange(ctx context.Context, addr netip.AddrPort, name string, qtype uint16) (*dns.Msg, error) {
	var resp *dns.Msg
	var err error
	for range tries {
		resp, err = a.send(ctx, "udp", addr, name, qtype)
		var refused *netguard.RefusedError
		if err == nil || ctx.Err() != nil || errors.As(err, &refused) || noWay(err) {
			break
		}
	}
	if err == nil && resp.Truncated {
		if resp, err = a.send(ctx, "tcp", addr, name, qtype); err == nil && resp.Truncated {
			err = errMalformed
		}
	}
	return resp, err
}

var errMalformed = errors.New("gives an answer that makes no sense")

func (a *Authority) send(ctx context.Context, network string, addr netip.AddrPort, name string, qtype uint16) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
	defer cancel()
	conn, err := a.cfg.Guard.DialContext(netguard.NameServer)(ctx, network, addr.String())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	// The client heeds the deadline of a context only; this makes it heed its end.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	req := new(dns.Msg).SetQuestion(name, qtype) // takes a random id
	req.RecursionDesired = false
	req.SetEdns0(udpSize, false)
	client := dns.Client{Net: network, Timeout: a.cfg.Timeout, UDPSize: udpSize}
	resp, _, err := client.ExchangeWithConnContext(ctx, req, &dns.Conn{Conn: conn, UDPSize: udpSize})
	switch {
	case err != nil:
		return nil, silent(err)
	case !resp.Response || resp.Opcode != dns.OpcodeQuery || len(resp.Question) != 1 || resp.Question[0].Qtype != qtype ||
		resp.Question[0].Qclass != dns.ClassINET || !strings.EqualFold(resp.Question[0].Name, name):
		return nil, errMalformed
	}
	return resp, nil
}

// silent is why there is no answer, without the port that the question left from, which is another each time.
func silent(err error) error {
	var op *net.OpError
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("does not answer")
	}
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("does not answer: %w", err)
}
