package netguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

const (
	// maxAddresses bounds how many addresses of one host are tried: its owner chooses how many there are.
	maxAddresses = 8
	// headStart is what an address gets before the next one is tried beside it (RFC 8305 §5).
	headStart = 250 * time.Millisecond
)

// DialContext returns a dial function for the class: resolves, tries the addresses in turn (those allowed), checks the
// address actually connected to. The error tells refused (*RefusedError) from unreachable: it is a *RefusedError only
// when no address was allowed. A host without addresses is a *net.DNSError with IsNotFound.
func (g *Guard) DialContext(class Class) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, g.cfg.DialTimeout)
		defer cancel()
		host, port, err := splitHostPort(addr)
		if err != nil {
			return nil, err
		}
		addrs, err := g.resolve(ctx, host)
		if err != nil {
			return nil, fmt.Errorf("resolve %s: %w", host, err)
		}
		var allowed []netip.AddrPort
		var refused error
		for _, a := range interleave(addrs) {
			ap := netip.AddrPortFrom(a, port)
			if err := g.Check(class, ap); err != nil {
				if refused == nil {
					refused = err
				}
				continue
			}
			if len(allowed) < maxAddresses {
				allowed = append(allowed, ap)
			}
		}
		if len(allowed) == 0 {
			return nil, refused
		}
		return g.race(ctx, class, network, allowed)
	}
}

func splitHostPort(addr string) (string, uint16, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port of %s: %w", addr, err)
	}
	return host, uint16(n), nil
}

func (g *Guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	addrs, err := g.cfg.Resolver.LookupAddrs(ctx, host)
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}
	return addrs, err
}

// interleave alternates the families, IPv6 first (RFC 8305 §4), so that a network without one of them costs one
// attempt and not all.
func interleave(addrs []netip.Addr) []netip.Addr {
	var v4, v6 []netip.Addr
	for _, a := range addrs {
		if a.Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	out := make([]netip.Addr, 0, len(addrs))
	for i := range max(len(v4), len(v6)) {
		if i < len(v6) {
			out = append(out, v6[i])
		}
		if i < len(v4) {
			out = append(out, v4[i])
		}
	}
	return out
}

// race connects to the first address that answers. Each gets a head start before the next one; a failure starts the
// next at once. It returns only when all its attempts have ended.
func (g *Guard) race(ctx context.Context, class Class, network string, addrs []netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result)
	dialer := g.dialer(class)
	var won net.Conn
	var errs []error
	timer := time.NewTimer(0)
	defer timer.Stop()
	for next, pending := 0, 0; pending > 0 || (won == nil && next < len(addrs)); {
		var start <-chan time.Time
		if won == nil && next < len(addrs) {
			start = timer.C
		}
		select {
		case <-start:
			go func(addr string) {
				conn, err := dialer.DialContext(ctx, network, addr)
				results <- result{conn, err}
			}(addrs[next].String())
			next++
			pending++
			timer.Reset(headStart)
		case r := <-results:
			pending--
			switch {
			case r.err != nil:
				errs = append(errs, r.err)
				timer.Reset(0)
			case won != nil:
				_ = r.conn.Close()
			default:
				won = r.conn
				cancel() // the others
			}
		}
	}
	if won != nil {
		return won, nil
	}
	return nil, errors.Join(errs...)
}

// dialer checks once more what it is about to connect to: whatever happened to the address on the way, this is the
// one that counts.
func (g *Guard) dialer(class Class) *net.Dialer {
	return &net.Dialer{
		Control: func(_, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return &RefusedError{Rule: "invalid"}
			}
			return g.Check(class, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
		},
	}
}
