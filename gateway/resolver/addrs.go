package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// LookupAddrs returns A and AAAA addresses; localhost is answered without DNS (RFC 6761 §6.3), an IP literal is
// returned as it is. With the system's resolvers the hosts file counts, and the answer is not cached here: the
// system does not say its TTL.
func (c *Client) LookupAddrs(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	fqdn, err := rooted(host)
	if err != nil {
		return nil, err
	}
	if fqdn == "localhost." || strings.HasSuffix(fqdn, ".localhost.") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	if c.cfg.Server == "" {
		return systemAddrs(ctx, fqdn)
	}

	type result struct {
		e   *entry
		err error
	}
	v6 := make(chan result, 1)
	go func() {
		e, err := c.lookup(ctx, fqdn, dns.TypeAAAA)
		v6 <- result{e, err}
	}()
	e4, err4 := c.lookup(ctx, fqdn, dns.TypeA)
	r6 := <-v6

	var out []netip.Addr
	if err4 == nil {
		out = appendAddrs(out, e4)
	}
	if r6.err == nil {
		out = appendAddrs(out, r6.e)
	}
	if len(out) == 0 {
		// One family that says "nothing" is no answer while the other one failed.
		if err := errors.Join(err4, r6.err); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func appendAddrs(out []netip.Addr, e *entry) []netip.Addr {
	for _, rr := range e.records {
		var ip net.IP
		switch r := rr.(type) {
		case *dns.A:
			ip = r.A.To4()
		case *dns.AAAA:
			ip = r.AAAA.To16()
		}
		if a, ok := netip.AddrFromSlice(ip); ok {
			out = append(out, a)
		}
	}
	return out
}

func systemAddrs(ctx context.Context, fqdn string) ([]netip.Addr, error) {
	// The Go resolver, whatever the build: it reads the hosts file for rooted names too, save those of one label.
	if label := strings.TrimSuffix(fqdn, "."); !strings.Contains(label, ".") {
		hosts := net.Resolver{PreferGo: true, Dial: noDial}
		if addrs, err := hosts.LookupNetIP(ctx, "ip", label); err == nil {
			return unmap(addrs), nil
		}
	}
	system := net.Resolver{PreferGo: true}
	addrs, err := system.LookupNetIP(ctx, "ip", fqdn)
	if err != nil {
		if dnsErr := (*net.DNSError)(nil); errors.As(err, &dnsErr) && dnsErr.IsNotFound {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	return unmap(addrs), nil
}

// noDial leaves the hosts file alone to answer.
func noDial(context.Context, string, string) (net.Conn, error) { return nil, ErrTemporary }

// unmap undoes that package net gives IPv4 addresses in either form.
func unmap(addrs []netip.Addr) []netip.Addr {
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	return addrs
}
