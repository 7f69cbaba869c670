// Package netguard is the only way out: every outgoing TCP connection of the data plane is made here,
// and the address actually connected to is checked against the address rules of IS-DISC-10.
//
// It verifies who answers (IS-DISC-9), and knows nothing of HTTP or SMTP beyond making a transport and a TLS connection:
// redirects, credentials and retries are the caller's.
package netguard

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"time"

	"github.com/calfed/calfed/gateway/resolver"
)

// Class says who chose the target.
type Class int

// The classes.
const (
	Peer       Class = iota // discovered: egress.peerCIDRs
	Backend                 // configured: egress.backendCIDRs
	Mail                    // configured mail servers: likewise, at the ports of mail
	NameServer              // name servers, found or configured: likewise, at port 53
)

// Resolver finds the addresses of a host name.
type Resolver interface {
	LookupAddrs(ctx context.Context, host string) ([]netip.Addr, error)
}

// Config of a Guard; the zero value allows globally routable unicast only, with the system roots.
type Config struct {
	PeerCIDRs    []netip.Prefix // permitted beside the globally routable addresses; likewise the next
	BackendCIDRs []netip.Prefix
	Never        []netip.Addr // API server addresses; metadata addresses are built in
	Roots        *x509.CertPool
	Resolver     Resolver      // nil = the system's
	DialTimeout  time.Duration // for look-up and connection together, and again for the TLS handshake; 0 = 10 s
}

const defaultDialTimeout = 10 * time.Second

// Guard makes outgoing connections. Safe for concurrent use.
type Guard struct {
	cfg   Config
	never map[netip.Addr]string // address to rule
}

// New makes a Guard.
func New(cfg Config) *Guard {
	if cfg.DialTimeout <= 0 {
		cfg.DialTimeout = defaultDialTimeout
	}
	if cfg.Resolver == nil {
		cfg.Resolver = resolver.New(resolver.Config{})
	}
	g := &Guard{cfg: cfg, never: make(map[netip.Addr]string)}
	for _, a := range cfg.Never {
		if a.IsValid() {
			g.never[a.Unmap().WithZone("")] = "never"
		}
	}
	for _, a := range metadata() {
		g.never[a] = "metadata"
	}
	return g
}

// RefusedError is an address that the rules forbid.
type RefusedError struct {
	Address netip.AddrPort
	Rule    string // "loopback", "private", "port", …
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("address %s refused: %s", e.Address, e.Rule)
}
