package netguard_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
)

func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// newResolver asks an in-process DNS server with the zone.
func newResolver(t *testing.T, zone string) *resolver.Client {
	t.Helper()
	s, err := dnstest.New(zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return resolver.New(resolver.Config{Server: s.Addr()})
}

// listen accepts and closes until the test ends.
func listen(t *testing.T) (port string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	_, port, _ = net.SplitHostPort(ln.Addr().String())
	return port
}

func dial(t *testing.T, g *netguard.Guard, class netguard.Class, addr string) error {
	t.Helper()
	c, err := g.DialContext(class)(t.Context(), "tcp", addr)
	if err == nil {
		_ = c.Close()
	}
	return err
}

// Proves: IS-DISC-10
func TestDialChecksEveryResolvedAddress(t *testing.T) {
	port := listen(t)
	r := newResolver(t, `
one.test.   IN A 127.0.0.1
mixed.test. IN A 10.1.2.3
mixed.test. IN A 127.0.0.1
mixed.test. IN AAAA fd00::1
inner.test. IN A 10.1.2.3
mapped.test. IN AAAA ::ffff:127.0.0.1
meta.test.  IN A 169.254.169.254
`)
	closed := netguard.New(netguard.Config{Resolver: r})
	open := netguard.New(netguard.Config{Resolver: r, PeerCIDRs: loopback()})
	tests := []struct {
		name string
		g    *netguard.Guard
		host string
		rule string // "" = connects
	}{
		{"a name that leads to loopback", closed, "one.test", "loopback"},
		{"a literal", closed, "127.0.0.1", "loopback"},
		{"an IPv6 literal", closed, "::1", "loopback"},
		{"localhost", closed, "localhost", "loopback"},
		{"a mapped literal, though its IPv4 form is permitted", open, "::ffff:127.0.0.1", "mapped"},
		{"a mapped address from DNS", open, "mapped.test", "mapped"},
		{"a literal with a zone", open, "fe80::1%lo", "zone"},
		{"a metadata address", open, "meta.test", "metadata"},
		{"a private address", open, "inner.test", "private"},
		{"a permitted address", open, "one.test", ""},
		{"the permitted one of several", open, "mixed.test", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := dial(t, tt.g, netguard.Peer, net.JoinHostPort(tt.host, port))
			if got := ruleOf(t, err); got != tt.rule {
				t.Errorf("refused by %q, want %q (%v)", got, tt.rule, err)
			}
		})
	}
	if got := ruleOf(t, dial(t, open, netguard.Backend, "one.test:"+port)); got != "loopback" {
		t.Errorf("the other class: refused by %q", got)
	}
	if got := ruleOf(t, dial(t, open, netguard.Peer, "one.test:25")); got != "port" {
		t.Errorf("a port below 1024: refused by %q", got)
	}
}

// Proves: IS-DISC-10
func TestTheAddressConnectedToIsChecked(t *testing.T) {
	port := listen(t)
	d := netguard.New(netguard.Config{}).Dialer(netguard.Peer)
	for _, host := range []string{"127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "localhost"} {
		c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err == nil {
			_ = c.Close()
		}
		if rule := ruleOf(t, err); rule == "" {
			t.Errorf("%s was connected to", host)
		}
	}
}

// rebinding answers with a permitted address once, then with another.
type rebinding struct{ asked int }

func (r *rebinding) LookupAddrs(context.Context, string) ([]netip.Addr, error) {
	if r.asked++; r.asked == 1 {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
}

// Proves: IS-DISC-10
func TestANameIsResolvedOncePerConnection(t *testing.T) {
	r := &rebinding{}
	g := netguard.New(netguard.Config{Resolver: r, PeerCIDRs: loopback()})
	if err := dial(t, g, netguard.Peer, "rebinding.test:"+listen(t)); err != nil || r.asked != 1 {
		t.Errorf("%v, asked %d times", err, r.asked)
	}
}

func TestUnreachableIsNotRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	_ = ln.Close()
	r := newResolver(t, "half.test. IN A 127.0.0.1\nhalf.test. IN A 10.0.0.1\n")
	g := netguard.New(netguard.Config{Resolver: r, PeerCIDRs: loopback()})
	var refused *netguard.RefusedError
	if err := dial(t, g, netguard.Peer, "half.test:"+port); err == nil || errors.As(err, &refused) {
		t.Errorf("err = %v, want a connection error", err)
	}
	var dnsErr *net.DNSError
	if err := dial(t, g, netguard.Peer, "gone.test:"+port); !errors.As(err, &dnsErr) || !dnsErr.IsNotFound {
		t.Errorf("err = %v, want a *net.DNSError", err)
	}
	for _, addr := range []string{"half.test", "half.test:https", "half.test:65536", "half.test:-1"} {
		if err := dial(t, g, netguard.Peer, addr); err == nil {
			t.Errorf("%q was dialled", addr)
		}
	}
}

func TestTheNextAddressIsTriedAtOnceWhenOneFails(t *testing.T) {
	// Nothing listens on 127.9.9.x: each refuses at once, and the good one comes after them.
	port := listen(t)
	r := staticResolver{"127.9.9.1", "127.9.9.2", "::1", "127.0.0.1"}
	g := netguard.New(netguard.Config{Resolver: r, PeerCIDRs: loopback()})
	if err := dial(t, g, netguard.Peer, "several.test:"+port); err != nil {
		t.Error(err)
	}
}

type staticResolver []string

func (s staticResolver) LookupAddrs(context.Context, string) ([]netip.Addr, error) {
	out := make([]netip.Addr, len(s))
	for i, a := range s {
		out[i] = netip.MustParseAddr(a)
	}
	return out, nil
}

func TestOnlySoManyAddressesAreTried(t *testing.T) {
	var many staticResolver
	for i := range 1000 {
		many = append(many, fmt.Sprintf("127.9.%d.%d", i/250, 1+i%250))
	}
	g := netguard.New(netguard.Config{Resolver: many, PeerCIDRs: loopback()})
	err := dial(t, g, netguard.Peer, "many.test:"+listen(t))
	if err == nil {
		t.Fatal("connected")
	}
	if n := strings.Count(err.Error(), "connection refused"); n != 8 {
		t.Errorf("%d attempts, want 8", n)
	}
}

// stuck answers only when its caller gives up.
type stuck struct{}

func (stuck) LookupAddrs(ctx context.Context, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestDialingIsBounded(t *testing.T) {
	g := netguard.New(netguard.Config{Resolver: stuck{}, DialTimeout: 20 * time.Millisecond})
	if err := dial(t, g, netguard.Peer, "slow.test:443"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
}

func TestTheSystemResolverIsTheDefault(t *testing.T) {
	g := netguard.New(netguard.Config{PeerCIDRs: loopback()})
	if err := dial(t, g, netguard.Peer, "localhost:"+listen(t)); err != nil {
		t.Error(err)
	}
}
